"""Searches on many nodes: batch jobs that start Ray, end in time and are begun again."""
