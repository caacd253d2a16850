"""Structured data: rows of files and databases as typed tables with a key. Taught in chapter 3.

TableSource ──read──► Incoming ──evolve──► Shape ──difference──► DeltaTables.land
                                                                     │
changes(since) ◄── versions of a Delta table ──► query (one SELECT, parameters, limits)
"""
