"""The provenance graph of a campaign, read into plain data."""
