"""An embedded stack for laptops and tests: Apache Kafka and Valkey (or Redis) without Docker, and sample events.

``stack`` is the way in. Below it, one idea each: ``jars`` (what Kafka consists of), ``java`` (what runs it), ``broker`` and
``cache_server`` (how each is configured, started and asked), ``process`` (children that outlive us, ended exactly),
``ports``, ``state`` (what is remembered between commands). ``feed`` makes the sample events.
"""
