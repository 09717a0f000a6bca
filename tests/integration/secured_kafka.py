"""A broker as platform teams run them: TLS with a private authority, passwords or client certificates, and ACLs.

The tests themselves use a listener without any of it, whose user may do everything.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.certificates import Authority
from tests.waiting import wait_until
from worker.local import broker, java
from worker.local.broker import Broker
from worker.local.ports import LOOPBACK, find_free
from worker.local.stack import kafka_class_path

WORKER, OPERATOR = "tagline-worker", "tagline-operator"
PASSWORDS = {WORKER: "w0rker-s-secret", OPERATOR: "0perator-s-secret"}
HOST = "localhost"
"""The only name that the broker's certificate has: its number, 127.0.0.1, is not in it."""
CLUSTER_ID = "c2VjdXJlZC1rYWZrYS0wMQ"
_PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True)
class SecuredBroker(Broker):
    """The local stack's broker with two more listeners, and an authoriser that denies what no ACL allows."""

    sasl_port: int
    tls_port: int
    certificates: Path
    """A folder of `store.pem`, the broker's key and certificate, and `authority.pem`."""

    def properties(self) -> dict[str, str]:
        """See :meth:`Broker.properties`."""
        plain = super().properties()
        sasl = "listener.name.sasl_ssl"
        users = " ".join(f'user_{name}="{password}"' for name, password in PASSWORDS.items())
        return {
            **plain,
            "listeners": f"{plain['listeners']},SASL_SSL://{LOOPBACK}:{self.sasl_port},SSL://{LOOPBACK}:{self.tls_port}",
            "advertised.listeners": f"{plain['advertised.listeners']},SASL_SSL://{HOST}:{self.sasl_port},"
            f"SSL://{HOST}:{self.tls_port}",
            "listener.security.protocol.map": f"{plain['listener.security.protocol.map']},SASL_SSL:SASL_SSL,SSL:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificates / "store.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates / "authority.pem"),
            "listener.name.ssl.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+)$/$1/",
            f"{sasl}.sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
            f"{sasl}.scram-sha-512.sasl.jaas.config": f"{_SCRAM_LOGIN} required;",
            f"{sasl}.scram-sha-256.sasl.jaas.config": f"{_SCRAM_LOGIN} required;",
            f"{sasl}.plain.sasl.jaas.config": f"{_PLAIN_LOGIN} required {users};",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }


@dataclass
class SecuredKafka:
    """The broker while it runs."""

    broker: SecuredBroker
    authority: Authority
    folder: Path
    admin: AdminClient = field(repr=False)

    @property
    def sasl_address(self) -> str:
        """Where passwords are asked for."""
        return f"{HOST}:{self.broker.sasl_port}"

    @property
    def tls_address(self) -> str:
        """Where client certificates are."""
        return f"{HOST}:{self.broker.tls_port}"

    def with_password(self, user: str, mechanism: str = "SCRAM-SHA-512", **changes: str) -> dict[str, str]:
        """The settings of a user with a password in a mounted file, as environment variables without ``TAGLINE_``."""
        secret = self.folder / f"{user}.password"
        secret.write_text(f"{PASSWORDS[user]}\n", "utf-8")
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.sasl_address,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": mechanism,
            "KAFKA_USERNAME": user,
            "KAFKA_PASSWORD_FILE": str(secret),
            "KAFKA_CA_FILE": str(self.authority.certificate),
            **changes,
        }

    def with_certificate(self, user: str) -> dict[str, str]:
        """The same for a user with a client certificate."""
        certificate, key = self.authority.issue(user)
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.tls_address,
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_CERTIFICATE_FILE": str(certificate),
            "KAFKA_KEY_FILE": str(key),
            "KAFKA_CA_FILE": str(self.authority.certificate),
        }

    def allow(self, bindings: Sequence[AclBinding]) -> None:
        """Grant, and wait until the broker knows of it."""
        for future in self.admin.create_acls(list(bindings)).values():
            future.result(30)
        wait_until(lambda: all(self._holds(one) for one in bindings))

    @contextmanager
    def without(self, binding: AclBinding) -> Iterator[AclBinding]:
        """Take a grant away for a while. The broker knows of it when this begins, and again when it ends."""
        for future in self.admin.delete_acls([_only(binding)]).values():
            future.result(30)
        wait_until(lambda: not self._holds(binding))
        try:
            yield binding
        finally:
            self.allow([binding])

    def _holds(self, binding: AclBinding) -> bool:
        return bool(self.admin.describe_acls(_only(binding)).result(30))


def _only(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """Start one, with a SCRAM and a PLAIN password for each user and no ACL; end it afterwards. Blocks for some seconds."""
    authority = Authority(folder)
    certificate, key = authority.issue("broker", hosts=f"DNS:{HOST}")
    (folder / "store.pem").write_text(key.read_text("utf-8") + certificate.read_text("utf-8"), "utf-8")
    ports: list[int] = []
    for _ in range(4):
        ports.append(find_free(frozenset(ports)))
    server = SecuredBroker(folder / "kafka", *ports[:2], CLUSTER_ID, *ports[2:], certificates=folder)
    started = server.start(java.find(os.environ), kafka_class_path(os.environ, lambda _: None), os.environ)
    try:
        server.wait_until_answering(started)
        with AdminClient({"bootstrap.servers": server.address}) as admin:
            _give_passwords(admin)
            yield SecuredKafka(server, authority, folder, admin)
    finally:
        broker.stop(started)


def _give_passwords(admin: AdminClient) -> None:
    for mechanism in (ScramMechanism.SCRAM_SHA_512, ScramMechanism.SCRAM_SHA_256):
        wanted = [
            UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, 4096), password.encode())
            for user, password in PASSWORDS.items()
        ]
        for future in admin.alter_user_scram_credentials(wanted).values():
            future.result(30)
