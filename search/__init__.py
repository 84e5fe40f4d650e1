"""How the surrogate is looked for: study, distribution, a trial's life, the stopwatch."""
