"""Counts what an app serves, and answers with rates, quantiles and outcomes of a whole colour."""
