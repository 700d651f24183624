"""The configuration: YAML in, one valid value for each repository out; every problem with its place."""
