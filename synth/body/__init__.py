"""Lying bodies: their shapes, their poses, and the posed mesh of one body."""
