"""The one entrance for users' code: what goes in is read-only, what comes out is checked."""
