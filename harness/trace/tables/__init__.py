"""Columns to tables: the schemas, and the Parquet files that hold them."""
