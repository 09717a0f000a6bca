"""The path of a record: intake, prepare, classify, publish. The only package that knows all of the others."""
