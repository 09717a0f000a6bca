"""From librdkafka's error codes to the errors that a person can act on."""
# ruff: noqa: SLF001 - the codes that librdkafka raises itself are public, and begin with an underscore

from confluent_kafka import KafkaError, KafkaException

from worker.errors import AuthenticationError, DataError, DependencyError, TaglineError, UsageError

_REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError._SSL,
    }
)
_SIGN_OF_A_CERTIFICATE = "certificate verify failed"
_SIGNS_OF_TLS = ("SSL handshake failed", _SIGN_OF_A_CERTIFICATE)
"""In the text of a handshake that failed: the client now and then calls it a broken transport."""
_FORBIDDEN = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.DELEGATION_TOKEN_AUTHORIZATION_FAILED,
    }
)
_NO_TOPIC = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_ID,
    }
)
_LEADER_MOVES = frozenset(
    {
        KafkaError._UNKNOWN_PARTITION,  # the client knows of no leader
        KafkaError._DESTROY_BROKER,  # it was forgotten while it was asked, because the cluster does not name it any more
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        # What other brokers than a single one say besides, while a partition goes from one to another.
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
    }
)
_OUT_OF_RANGE = frozenset(
    {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET, KafkaError._NO_OFFSET}
)
_TOO_LARGE = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_MSG_SIZE}
)
_UNFIT = frozenset({KafkaError.INVALID_RECORD, KafkaError.POLICY_VIOLATION})
"""A message breaks the rules of its topic or cluster: no key where it is compacted, a schema, a policy."""
_FENCED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
    }
)
_GROUP_HINTS = {
    KafkaError.INVALID_SESSION_TIMEOUT: "kafka.session_timeout_s is outside what the broker allows "
    "(group.min.session.timeout.ms, 6 s unless set, to group.max.session.timeout.ms).",
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "The group has members of another protocol or assignor: another application, or "
    "a worker with another kafka.group_protocol. Choose another kafka.group_id, or stop those.",
    KafkaError.GROUP_MAX_SIZE_REACHED: "The group is full (the broker's group.max.size): run fewer workers.",
    KafkaError.INVALID_GROUP_ID: "Set kafka.group_id to a name.",
    KafkaError.UNSUPPORTED_ASSIGNOR: "This broker does not know the assignor; use kafka.group_protocol = classic.",
}
"""What keeps a member out of a group for good, and the way in."""
_DECLINED = frozenset(
    {
        KafkaError.INVALID_CONFIG,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_REPLICA_ASSIGNMENT,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.POLICY_VIOLATION,
    }
)
"""A topic as it was asked for is not to be had on this cluster."""
_MISUSED = frozenset({KafkaError._INVALID_ARG, KafkaError._CONFLICT})


def error_of(error: KafkaError | KafkaException) -> KafkaError:
    """The `KafkaError` inside either form. An exception without one becomes an `_APPLICATION` error of its text."""
    if isinstance(error, KafkaError):
        return error
    inner = error.args[0] if error.args else None
    return inner if isinstance(inner, KafkaError) else KafkaError(KafkaError._APPLICATION, str(error))


def is_refusal(error: KafkaError) -> bool:
    """Whether a broker, or our own check of it, refused the connection: credentials, a certificate, the wrong protocol."""
    return error.code() in _REFUSED or any(sign in error.str() for sign in _SIGNS_OF_TLS)


def is_unfit(error: KafkaError) -> bool:
    """Whether a broker refused a message for the rules of its topic or cluster."""
    return error.code() in _UNFIT


def is_for_good(error: KafkaError) -> bool:
    """Whether publishing again would be refused again, until somebody changes the topic, an ACL or a limit.

    The client itself waits for a topic that only the brokers' metadata does not show yet, before it says that there is none.
    """
    return error.code() in _FORBIDDEN | _NO_TOPIC | _TOO_LARGE | _UNFIT


def leader_moves(error: KafkaError) -> bool:
    """Whether a partition that is known to be there has no leader for a moment, or one that does not know its place yet.

    The client asks twice at most, some of these not even that; whoever asks a little later is answered.
    """
    return error.code() in _LEADER_MOVES


def kafka_error(error: KafkaError | KafkaException, doing: str) -> TaglineError:
    """The error to raise for `error`, met while `doing` ("joining the group tagline").

    Authentication and permission end with their own exit code, a missing topic or offset with the one for data, a
    property or topic that is refused with usage; everything else is a broker that cannot be reached or does not do what was
    asked.
    """
    cause = error_of(error)
    code = cause.code()
    message = f"{doing}: {cause.str() or cause.name()} ({cause.name()})"
    if _SIGN_OF_A_CERTIFICATE in cause.str():
        return AuthenticationError(
            message,
            hint="Is kafka.ca_file the authority that vouches for the brokers (the system's when not set), and do their certificates "
            "name the hosts as kafka.bootstrap_servers and the brokers' advertised.listeners spell them? The client does not say which.",
        )
    if is_refusal(cause):
        return AuthenticationError(
            message,
            hint="Check kafka.security_protocol, sasl_mechanism, username, password and the certificate files.",
        )
    if code in _FORBIDDEN:
        return AuthenticationError(message, hint="The principal lacks an ACL for this; see deploy/acls.md.")
    if code in _NO_TOPIC:
        return DataError(
            message, hint="Run `tagline topics create`, or check kafka.bootstrap_servers: is it this cluster?"
        )
    if code in _OUT_OF_RANGE:
        return DataError(
            message,
            hint="The committed offset is no longer in the topic: records were deleted before they were read. Find out "
            "why, then set the group's offsets by hand (kafka-consumer-groups --reset-offsets).",
        )
    if code in _TOO_LARGE:
        return DataError(
            message, hint="Raise the topic's max.message.bytes, and kafka.message_max_bytes with it."
        )
    if code in _GROUP_HINTS:
        return UsageError(message, hint=_GROUP_HINTS[code])
    if code in _MISUSED:
        return UsageError(
            message, hint="See kafka.client_options and the TLS files in `tagline config show`."
        )
    if code in _DECLINED:
        return UsageError(
            message,
            hint="The broker's own words are above. What is asked of it: `tagline topics create --help`.",
        )
    if code in _FENCED:
        return DependencyError(message, hint="Another process has taken over with the same transactional id.")
    if code == KafkaError._MSG_TIMED_OUT:
        return DependencyError(
            message,
            hint="No broker acknowledged it within kafka.message_timeout_s: the partition's leader is away, or fewer replicas are in sync "
            "than min.insync.replicas. `tagline doctor` says which; once that is mended, start again.",
        )
    if code > 0:  # a broker's own code; librdkafka's are negative
        return DependencyError(message, hint="Kafka answers, with this error. `tagline doctor` looks closer.")
    return DependencyError(
        message,
        hint="Is Kafka up at kafka.bootstrap_servers, and does it speak kafka.security_protocol there? `tagline doctor` looks closer. For a local stack that is up: "
        'eval "$(tagline local env)"',
    )
