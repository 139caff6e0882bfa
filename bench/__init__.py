"""Figures as ratios, each measured side by side with its floor in one run."""
