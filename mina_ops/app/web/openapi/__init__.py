"""The HTTP contract as an OpenAPI document."""
