"""The verdict on a release for engines of others (Argo Rollouts, Flagger), over HTTP."""
