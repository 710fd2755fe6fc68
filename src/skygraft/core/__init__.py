"""What every layer stands on: errors, files, tables, shards, the http client."""
