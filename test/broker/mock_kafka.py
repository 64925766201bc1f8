"""Three mock brokers out of librdkafka (the wheel confluent-kafka), with faults on demand.

usage: PYTHON mock_kafka.py TOPIC

The topic has two partitions: broker 1 leads 0, broker 2 leads 1. Prints the bootstrap servers as
one line. Then each line BROKER API ERROR DELAY_MS on standard input gives the broker's next answer
to that API the error (0 for none: the request is carried out) and the delay; "ok" is printed when
it is in force. The end of standard input ends the brokers.
"""

import ctypes
import glob
import sys

PRODUCER = 0
TEXT = ctypes.c_char_p
HANDLE = ctypes.c_void_p


def load_library():
    [path] = glob.glob(
        f"{sys.prefix}/lib/python3*/site-packages/confluent_kafka.libs/librdkafka*"
    )
    library = ctypes.CDLL(path)
    for name in ("conf_new", "new", "mock_cluster_new"):
        getattr(library, f"rd_kafka_{name}").restype = HANDLE
    library.rd_kafka_conf_set.argtypes = [HANDLE, TEXT, TEXT, TEXT, ctypes.c_size_t]
    library.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [HANDLE, ctypes.c_int32]
    library.rd_kafka_new.argtypes = [ctypes.c_int, HANDLE, TEXT, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.argtypes = [HANDLE, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [HANDLE]
    library.rd_kafka_mock_cluster_bootstraps.restype = TEXT
    library.rd_kafka_mock_topic_create.argtypes = [HANDLE, TEXT, ctypes.c_int, ctypes.c_int]
    library.rd_kafka_mock_partition_set_leader.argtypes = [
        HANDLE,
        TEXT,
        ctypes.c_int32,
        ctypes.c_int32,
    ]
    library.rd_kafka_mock_broker_push_request_error_rtts.argtypes = [
        HANDLE,
        ctypes.c_int32,
        ctypes.c_int16,
        ctypes.c_size_t,
    ]
    return library


def main():
    topic = sys.argv[1].encode()
    library = load_library()
    message = ctypes.create_string_buffer(512)
    settings = library.rd_kafka_conf_new()
    # It would warn that this client, which sends nothing, knows no broker.
    library.rd_kafka_conf_set(settings, b"log_level", b"3", message, 512)
    client = library.rd_kafka_new(PRODUCER, settings, message, 512)
    if not client:
        sys.exit(message.value.decode())
    cluster = library.rd_kafka_mock_cluster_new(client, 3)
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
    library.rd_kafka_mock_topic_create(cluster, topic, 2, 1)
    for partition, broker in enumerate((1, 2)):
        library.rd_kafka_mock_partition_set_leader(cluster, topic, partition, broker)
    print(library.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
    for line in sys.stdin:
        broker, api, error, delay_ms = (int(word) for word in line.split())
        # Error and delay are variable arguments: ctypes passes them as they are.
        library.rd_kafka_mock_broker_push_request_error_rtts(
            cluster, broker, api, 1, ctypes.c_int(error), ctypes.c_int(delay_ms)
        )
        print("ok", flush=True)


main()
