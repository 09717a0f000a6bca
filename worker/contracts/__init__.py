"""What travels on the topics: the product's face to other teams.

``inbound`` and ``envelope`` read records, ``sentiment``, ``tagged`` and ``signals`` are what is published, ``outbound``
writes it, ``deadletter`` says why a record could not be tagged, ``topics`` declares where each of them lives and
``catalogue`` lists them all. Nothing here talks to Kafka.
"""
