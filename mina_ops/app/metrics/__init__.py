"""What an app serves, counted: rates, quantiles and outcomes of a whole colour."""
