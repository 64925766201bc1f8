"""Produces the values of a file (each after its length) with librdkafka.
usage: PYTHON python_producer.py BROKERS FILE CODEC=TOPIC ...
"""

import struct
import sys

from confluent_kafka import Producer


def read_values(path):
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def refuse(error, _message):
    if error is not None:
        sys.exit(f"not delivered: {error}")


def main():
    brokers, path, *targets = sys.argv[1:]
    values = list(read_values(path))
    for target in targets:
        codec, topic = target.split("=")
        settings = {
            "bootstrap.servers": brokers,
            "compression.codec": codec,
            "batch.size": 800_000,
            "linger.ms": 500,
            "message.max.bytes": 4_000_000,
        }
        producer = Producer(settings)
        for value in values:
            producer.produce(topic, value, partition=0, on_delivery=refuse)
        if producer.flush(30) > 0:
            sys.exit("not delivered within 30 s")


main()
