"""One script per verb; recipes.py holds every preset, cli.py what the scripts share."""
