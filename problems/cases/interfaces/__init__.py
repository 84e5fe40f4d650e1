"""Interfaces of proteins: which are biological, and which are contacts of the crystal?"""
