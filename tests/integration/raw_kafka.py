"""Records that the Python client refuses to send: header names that are no text. Sent through librdkafka itself."""

import ctypes
from pathlib import Path

import confluent_kafka  # loads librdkafka

_TOPIC, _PARTITION, _VALUE, _KEY, _FLAGS, _HEADER = 1, 3, 4, 5, 7, 9
"""librdkafka's `rd_kafka_vtype_t`."""
_COPY = 2
_PRODUCER = 0


class _Memory(ctypes.Structure):
    _fields_ = (("start", ctypes.c_char_p), ("size", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("value", ctypes.c_char_p), ("size", ctypes.c_ssize_t))


class _Union(ctypes.Union):
    _fields_ = (
        ("text", ctypes.c_char_p),
        ("number", ctypes.c_int32),
        ("memory", _Memory),
        ("header", _Header),
        ("padding", ctypes.c_char * 64),
    )


class _Argument(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int), ("value", _Union))


def produce(
    bootstrap: str, topic: str, partition: int, key: bytes, value: bytes, header: tuple[bytes, bytes]
) -> None:
    """Send one record with one header, whose name may be any bytes but NUL, and wait until it was taken."""
    assert confluent_kafka.libversion()
    library = ctypes.CDLL(_loaded("librdkafka"))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_produceva"):
        getattr(library, name).restype = ctypes.c_void_p
    error = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(library.rd_kafka_conf_new())
    assert library.rd_kafka_conf_set(conf, b"bootstrap.servers", bootstrap.encode(), error, 512) == 0, (
        error.value
    )
    client = library.rd_kafka_new(_PRODUCER, conf, error, 512)
    assert client, error.value
    client = ctypes.c_void_p(client)
    arguments = (_Argument * 6)(
        _Argument(_TOPIC, _Union(text=topic.encode())),
        _Argument(_PARTITION, _Union(number=partition)),
        _Argument(_KEY, _Union(memory=_Memory(key, len(key)))),
        _Argument(_VALUE, _Union(memory=_Memory(value, len(value)))),
        _Argument(_FLAGS, _Union(number=_COPY)),
        _Argument(_HEADER, _Union(header=_Header(header[0], header[1], len(header[1])))),
    )
    try:
        assert library.rd_kafka_produceva(client, arguments, ctypes.c_size_t(6)) is None
        assert library.rd_kafka_flush(client, 10_000) == 0
    finally:
        library.rd_kafka_destroy(client)


def _loaded(name: str) -> str:
    lines = Path("/proc/self/maps").read_text("utf-8").splitlines()
    return next(line.split(maxsplit=5)[5] for line in lines if name in line)
