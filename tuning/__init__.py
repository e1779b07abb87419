"""Fine-tuning on a small study: folds, schedules, baselines, sweeps and the comparison report."""
