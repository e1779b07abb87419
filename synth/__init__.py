"""What an image of anatomy is, and how to make one. Importing this loads no bpy, ray or torch."""
