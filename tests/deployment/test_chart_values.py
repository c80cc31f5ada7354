"""The chart's values: the schema is the model's, Helm refuses what `check` refuses, README.md tells all."""

import shlex
from pathlib import Path
from tempfile import TemporaryDirectory

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import TypeAdapter

from bridge.config import Config, kinds, load, load_endpoint, secret_faults
from bridge.service.taxonomies import taxonomy_faults
from helm import values_schema, values_table
from tests.parts.charts import CHART, Rendered, example, merged, refusal, template
from tests.parts.values import AVSC, TAXONOMY, drawn, values

ROOT = Path(__file__).parents[2]
SCHEMA = values_schema.values_schema()
ONE = example("one-client")
TWO = example("two-accounts")
EXAMPLES = 20


def test_the_schema_is_that_of_the_model():
    """`make chart-schema` has been run since the model was changed."""
    assert (CHART / "values.schema.json").read_text() == values_schema.written()


def test_the_table_is_that_of_the_values():
    """`make chart-schema` has been run since values.yaml was changed."""
    readme = (CHART / "README.md").read_text()
    assert values_table.filled(readme, (CHART / "values.yaml").read_text()) == readme


def leaves(schema, path=()):
    """Every key that values may have, down to those whose keys are the user's or Kubernetes' own."""
    properties = {name: inner for name, inner in schema.get("properties", {}).items() if inner is not False}
    if not properties or "patternProperties" in schema or path == ("global",):
        yield path
    for name, inner in properties.items() if "patternProperties" not in schema else ():
        yield from leaves(inner, (*path, name))


def test_the_table_tells_of_every_value():
    """What the schema knows stands in the table, by itself or as a part of another, and nothing else does."""
    told = {row.path for row in values_table.rows((CHART / "values.yaml").read_text())}
    known = set(leaves(SCHEMA))
    prefixes = {path[:length] for path in known for length in range(1, len(path) + 1)}
    assert told <= prefixes
    missing = [path for path in known if not any(path[:length] in told for length in range(1, len(path) + 1))]
    assert sorted(".".join(path) for path in missing if path[0] not in {"streamDefaults", "global"}) == []


def test_the_defaults_are_the_models():
    """What values.yaml writes of the configuration is what the bridge takes without it."""
    written = yaml.safe_load((CHART / "values.yaml").read_text())["config"]
    given_ = Config.model_validate(
        {**plain(), **{name: written[name] for name in ("spool", "window", "roll")}}
    )
    for section in ("spool", "window", "roll"):
        assert getattr(given_, section) == getattr(Config.model_validate(plain()), section)


def plain():
    account = {"name": "default", "agency": "A", "partner": "P", "sftp": {"host": "h", "username": "u"}}
    stream = {"name": "a", "topics": ["a"], "format": "json", "segment_namespace": "ep"}
    return {
        "kafka": {"bootstrap_servers": "k"},
        "accounts": [account],
        "streams": [stream],
        "dead_letters": {},
    }


def test_the_documented_example_is_in_the_models_schema():
    """Each value of docs/example.yaml is written in a form that the schema takes."""
    document = yaml.safe_load((ROOT / "docs" / "example.yaml").read_text())
    document["dead_letters"] = {"directory": "somewhere"}  # without one it is the spool's
    jsonschema.validate(document, Config.model_json_schema())


@pytest.mark.parametrize(
    "name",
    [
        *["Duration", "Wait", "Guard", "Size", "DailyBytes", "FileBytes", "Text", "Word", "NamePart"],
        *["StreamName", "HeaderValue", "TableId", "Suffix", "HostKey", "Listen", "Url", "LocalPath"],
    ],
)
def test_what_a_kinds_pattern_takes_the_kind_takes(name):
    """So that no values that Helm accepts make a configuration that the bridge refuses."""
    kind = TypeAdapter(getattr(kinds, name))

    @given(drawn(kind.json_schema()))
    @settings(max_examples=50, derandomize=True)
    def check(text):
        kind.validate_python(text)

    check()


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "Duration",
            ["0s", "500ms", "60s", "15m", "1h", "7d", "9999d"],
            ["", "5", "5 minutes", "1w", "-1s", "36501d"],
        ),
        ("Wait", ["1ms", "60s"], ["0s", "0d", "01"]),
        ("Guard", ["0s", "30s", "19m", "999s"], ["20m", "1h", "25m", "1200s"]),
        (
            "Size",
            ["1", "256MB", "256MiB", "5GB", "20 GB", "1TB", "9kB"],
            ["0", "0GB", "5 gigabytes", "1.5GB", "5PB"],
        ),
        ("DailyBytes", ["1MB", "5GB", "1000kB", "1000000"], ["999kB", "1kB", "0", "999999B"]),
        (
            "FileBytes",
            ["4GB", "1B", "2999MiB", "3GiB", "999MB"],
            ["5GB", "4GiB", "4001MB"],
        ),
    ],
)
def test_how_bounds_are_written(name, good, bad):
    """The usual texts are in the pattern; what is beyond a bound is not."""
    schema = TypeAdapter(getattr(kinds, name)).json_schema()
    judge = jsonschema.Draft202012Validator(schema)
    assert [text for text in good if not judge.is_valid(text)] == []
    assert [text for text in bad if judge.is_valid(text)] == []


class Secrets:
    """Every secret that is asked for."""

    def __getitem__(self, key):
        return "secret\n"


@pytest.mark.helm
def test_whatever_helm_accepts_the_bridge_accepts(helm):
    """Of values drawn from the schema those that Helm renders make a configuration without a fault."""
    accepted = []

    @given(values(SCHEMA))
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],  # to shrink would take minutes, and what fails is readable
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    def check(made):
        with TemporaryDirectory() as folder:
            wanted = made | {"secretsMountPath": f"{folder}/secrets"}
            done = template(helm, wanted)
            assert "can't evaluate" not in done.stderr
            assert done.returncode == 0 or "schema" in done.stderr or "execution error at" in done.stderr
            if done.returncode == 0:
                release = Rendered(list(filter(None, yaml.safe_load_all(done.stdout))), done.stdout)
                config = load(release.mount(Path(folder, "etc"), Secrets()), {})
                assert secret_faults(config) == ()
                if "Deployment" in release.kinds():
                    endpoint = load_endpoint(release.mount(Path(folder, "sync"), Secrets(), "Deployment"), {})
                    assert endpoint.user_sync == config.user_sync
                accepted.append(len(config.streams))

    check()
    assert len(accepted) >= EXAMPLES // 3


def client(**settings):
    """A second client beside that of the least values, and what it says of itself."""
    return {"clients": {"b": {"topics": ["b"], "display": True} | settings}}


def sftp(**settings):
    return {"accounts": {"default": {"sftp": settings}}}


def kafka(**settings):
    return {"config": {"kafka": settings}}


def log(**settings):
    """The account's processing log."""
    return {"accounts": {"default": {"platform": {"processing_log": settings}}}}


KEYED = sftp(password=None, private_key={"existingSecret": "a", "key": "b"})["accounts"]["default"]


def segments(auth=(), **settings):
    """The account's Audience Segments API, and what it says of its log-in."""
    secret = {"existingSecret": "a", "key": "b"}
    needed = {"username": "u", "client_id": "c", "password": secret, "client_secret": secret}
    api = {"vendor_id": 1234, "auth": needed | dict(auth)} | settings
    return {"accounts": {"default": {"platform": {"audience_segments": api}}}}


OTHER = client()["clients"]["b"]


def sync(cluster=(), **settings):
    """A user sync's endpoint: what it does, and what stands around it."""
    config = {"config": {"user_sync": {"namespace": "acme"} | settings}}
    return config | {"userSync": {"enabled": True} | dict(cluster)}


def ingress(*hosts, **settings):
    return {"ingress": {"enabled": True, "hosts": list(hosts)} | settings}


@pytest.mark.helm
def test_a_taxonomy_comes_to_the_pod_as_it_is(helm, tmp_path):
    """Beside the configuration, where the stream that names it finds it."""
    wanted = client(taxonomy="b.csv", unknown_segments="refuse") | {"taxonomies": {"b.csv": TAXONOMY}}
    done = template(helm, merged(ONE, wanted))
    assert done.returncode == 0, done.stderr
    release = Rendered(list(filter(None, yaml.safe_load_all(done.stdout))), done.stdout)
    config = load(release.mount(tmp_path / "etc", Secrets()), {})
    (stream,) = [stream for stream in config.streams if stream.name == "b"]
    assert stream.taxonomy.read_text() == TAXONOMY
    assert taxonomy_faults(config) == []


REFUSED = {
    "an unknown key": ({"replicas": 2}, "additional properties 'replicas'"),
    "an unknown key of a client": (client(colour="red"), "'/clients/b': additional properties 'colour'"),
    "an unknown key of the configuration": ({"config": {"http": {}}}, "additional properties 'http'"),
    "the chart's own folder": (
        {"config": {"spool": {"directory": "/"}}},
        "additional properties 'directory'",
    ),
    "a path of a secret": (sftp(password_file="/x"), "additional properties 'password_file'"),
    "a secret itself": (sftp(password="hunter2"), "sftp/password': got string, want object"),
    "no log-in": (sftp(password=None), "missing property 'private_key'"),
    "two log-ins": (sftp(private_key={"existingSecret": "a", "key": "b"}), "oneOf"),
    "no host key": (sftp(host_key=None), "missing property 'known_hosts'"),
    "no inventory": (client(display=False), "missing property 'mobile'"),
    "no topics": (client(topics=[]), "/clients/b/topics': minItems"),
    "a name that YAML takes for something else": ({"clients": {"false": OTHER}}, "/clients/false"),
    "an underscore in a name": ({"clients": {"a_b": OTHER}}, "'a_b'"),
    "a duration that is none": (client(max_future="5 minutes"), "'5 minutes' does not match"),
    "a guard of half an hour": (
        {"accounts": {"default": {"quota": {"guard": "30m"}}}},
        "/accounts/default/quota/guard': '30m'",
    ),
    "the product's own property": (
        kafka(properties={"group.id": "x"}),
        "/config/kafka/properties/group.id",
    ),
    "a property that is a secret": (kafka(properties={"sasl.password": "x"}), "properties/sasl.password"),
    "a field that no event has": (client(fields={"user": "id"}), "additional properties 'user'"),
    "a registry's name without its password": (
        {"config": {"schema_registry": {"username": "x"}}},
        "properties 'password' required, if 'username' exists",
    ),
    "too little time to stop": ({"terminationGracePeriodSeconds": 25}, "minimum"),
    "names that differ in case alone": (
        {"clients": {"B": OTHER, "b": OTHER | {"topics": ["c"]}}},
        "clients.b: is a stream's name in lower case, and so is B",
    ),
    "global and a client": (
        {"clients": {"b": OTHER | {"global": True, "client": "B"}}},
        "clients.b.client: stands beside global",
    ),
    "an account that is not there": (
        client(account="other"),
        "clients.b.account: names no account (other)",
    ),
    "one of two accounts that is not there": (
        client(account={"display": "default", "mobile": "other"}),
        "clients.b.account: names no account (other)",
    ),
    "a log-in of two accounts": (
        {"accounts": {"other": ONE["accounts"]["default"]}},
        "accounts.other.sftp.username: is, with its host, that of accounts.default",
    ),
    "a log's password as a path": (log(password_file="/x"), "additional properties 'password_file'"),
    "a log without a password": (
        {"accounts": {"default": KEYED | {"platform": {"processing_log": {}}}}},
        "accounts.default.platform.processing_log.password: missing; the log has no log-in by key",
    ),
    "a log's password in the open": (
        log(url="http://log.example.com"),
        "accounts.default.platform.processing_log.url: sends the password over http://",
    ),
    "a status of two meanings": (
        log(rejected=["loaded"]),
        "accounts.default.platform.processing_log.rejected: has a status of confirmed too",
    ),
    "waiting for a log that is not there": (
        {"accounts": {"default": {"wait_for_confirmation": True}}},
        "accounts.default.wait_for_confirmation: needs platform.processing_log",
    ),
    "a secret as a path": (segments({"password_file": "/x"}), "additional properties 'password_file'"),
    "a grant without its realm": (
        segments({"grant": "password-realm"}),
        "accounts.default.platform.audience_segments.auth.realm: missing; grant password-realm needs it",
    ),
    "a realm without its grant": (
        segments({"realm": "r"}),
        "accounts.default.platform.audience_segments.auth.realm: is for grant password-realm",
    ),
    "a token in the open": (
        segments({"token_url": "http://auth.example.com/token"}),
        "accounts.default.platform.audience_segments.auth.token_url: sends credentials over http://",
    ),
    "a topic of two clients": (
        client(topics=["acme.segments"]),
        "acme.segments stands in clients.acme too",
    ),
    "a topic that another's expression matches": (
        client(topics=["^acme"]),
        "clients.acme.topics: acme.segments is matched by that of clients.b",
    ),
    "an expression beside names": (client(topics=["^b", "c"]), "is a ^regex beside other topics"),
    "dead letters in a topic that is read": (
        {"config": {"dead_letters": {"topic": "acme.segments"}}},
        "config.dead_letters.topic: is consumed by clients.acme",
    ),
    "a namespace without its table": (
        client(user_namespace="p"),
        "clients.b.user_table_id: missing",
    ),
    "a table of mm": (client(user_table_id="7"), "clients.b.user_table_id: is for a user_namespace other"),
    "a further namespace without its table": (client(user_namespaces={"p": ""}), "has no table id"),
    "devices that are translated": (
        client(mobile=True, identify={"from": "p"}),
        "clients.b.mobile: must be false with identify: device ids are not translated; remove it",
    ),
    "ids that are translated, and others": (
        client(identify={"from": "p"}, user_namespace="o", user_table_id="7"),
        "clients.b.user_namespace: is for ids that are sent as they are; remove it, or identify",
    ),
    "mm translated": (
        client(identify={"from": "mm"}),
        "clients.b.identify.from: is a namespace whose ids are sent as they are",
    ),
    "ids that are sent as they are, translated": (
        client(identify={"from": "p"}, user_namespaces={"p": "7"}),
        "clients.b.identify.from: is a namespace whose ids are sent as they are",
    ),
    "a table of another topic": (
        client(identify={"from": "p"}) | {"config": {"user_sync": {"namespace": "p", "topic": "t"}}},
        "clients.b.identify.table: differs from config.user_sync.topic; write the same",
    ),
    "a table of a file": (
        client(identify={"from": "p"}) | {"config": {"user_sync": {"namespace": "p", "sqlite_file": "/f"}}},
        "config.user_sync.sqlite_file: is no topic, which identify needs",
    ),
    "two tables": (
        {
            "clients": {
                key: OTHER | {"topics": [key], "identify": {"from": "p", "table": key}} for key in "bc"
            }
        },
        "clients.c.identify.table: differs from another client's; a bridge has one identity table",
    ),
    "mappings as events": (
        client(identify={"from": "p"}, topics=["^user"]),
        "clients.b.topics: user-sync is the topic of mappings, and holds no events",
    ),
    "a field of two meanings": (client(fields={"user_id": "a", "client": "a"}), "stands twice"),
    "Avro without its schema": (client(format="avro"), "clients.b.schema: missing; format avro needs"),
    "a schema without the field": (
        client(format="avro", schema="b.avsc", fields={"user_id": "uid"}) | {"schemas": {"b.avsc": AVSC}},
        "clients.b.schema: b.avsc has no field uid; name the topic's field under fields.user_id",
    ),
    "a schema that is none": (
        client(format="avro", schema="b.avsc") | {"schemas": {"b.avsc": "{"}},
        "schemas.b.avsc: is no JSON",
    ),
    "a schema that is not there": (client(format="avro", schema="b.avsc"), "is no key of schemas"),
    "a taxonomy that is not there": (client(taxonomy="b.csv"), "clients.b.taxonomy: is no key of taxonomies"),
    "a taxonomy that nobody can ask for": (
        client(taxonomy=77),
        "clients.b.taxonomy: is an id, which needs accounts.default.platform.audience_segments",
    ),
    "a taxonomy that is none by its name": (client(taxonomy="b.txt"), "/clients/b/taxonomy"),
    "a taxonomy in the place of the configuration": (
        {"taxonomies": {"bridge.yaml": "x"}},
        "taxonomies.bridge.yaml: is the name of another file",
    ),
    "nothing to refuse by": (client(unknown_segments="refuse"), "clients.b.taxonomy: missing"),
    "an audience of two placeholders": (
        client(client="acme", placeholder_segment=7),
        "which feeds the same audience, otherwise",
    ),
    "a secret property that is an open one too": (
        kafka(properties={"a": "b"}, secret_properties={"a": {"existingSecret": "a", "key": "b"}}),
        "config.kafka.secret_properties.a: stands in config.kafka.properties too",
    ),
    "pages for the pod alone": (
        {"http": {"address": "127.0.0.1"}},
        "http.address: 127.0.0.1 is the pod's alone",
    ),
    "a label that the pod is found by": (
        {"podLabels": {"app.kubernetes.io/component": "x"}},
        "podLabels.app.kubernetes.io/component: is the chart's own",
    ),
    "an annotation of the chart's": (
        {"podAnnotations": {"checksum/config": "x"}},
        "podAnnotations.checksum/config: is the chart's own",
    ),
    "a name that begins with a digit": ({"fullnameOverride": "1bridge"}, "/fullnameOverride"),
    "a variable that is not set": (kafka(group_id="${GROUP}"), "extraEnv: has no GROUP"),
    "a variable that is the bridge's alone": (
        merged(sync(), kafka(bootstrap_servers="${BROKERS}"))
        | {"extraEnv": [{"name": "BROKERS", "value": "kafka:9092"}]},
        "userSync.extraEnv: has no BROKERS, which the configuration names as ${BROKERS}; add it",
    ),
    "a replay of no time": ({"replay": {"enabled": True}}, "replay.from: missing"),
    "a replay of nobody": (
        {"replay": {"enabled": True, "from": "-1d", "to": "now", "streams": ["c"]}},
        "replay.streams: there is no client c",
    ),
    "a refresh from when?": ({"refresh": {"from": "now"}}, "/refresh/from"),
    "an endpoint that nobody has described": (
        {"userSync": {"enabled": True}},
        "config.user_sync: missing; userSync.enabled needs it",
    ),
    "an endpoint without a namespace": (
        sync() | {"config": {"user_sync": {}}},
        "'/config/user_sync': missing property 'namespace'",
    ),
    "mappings in a pod's file": (
        sync(sqlite_file="/tmp/sync.sqlite", topic=None),
        "is one pod's alone, and is gone with it; no other pod would see its mappings. Remove it, and create",
    ),
    "the chart's own addresses": (sync(listen="0.0.0.0:80"), "additional properties 'listen'"),
    "a signing key as a path": (sync(signing_key_files=["/x"]), "additional properties 'signing_key_files'"),
    "a signing key itself": (sync(signing_keys=["hunter2"]), "signing_keys/0': got string, want object"),
    "the platform's namespace for one's own ids": (
        sync(namespace="mm"),
        "config.user_sync.namespace: is the platform's own, mm",
    ),
    "visits and opt-outs on one path": (
        sync(path="/opt-out"),
        "config.user_sync.opt_out_path: is config.user_sync.path too",
    ),
    "a host's cookie for a domain": (
        sync(cookie={"name": "__Host-id", "domain": "a.com", "path": "/x"}),
        "config.user_sync.cookie.domain: is for a cookie without __Host-",
    ),
    "a host's cookie for a path": (
        sync(cookie={"name": "__Host-id", "path": "/x"}),
        "config.user_sync.cookie.path: must be / for a cookie with __Host-",
    ),
    "mappings that a client reads": (
        sync(topic="acme.segments"),
        "config.user_sync.topic: acme.segments is consumed by clients.acme, and holds no events",
    ),
    "mappings that an expression matches": (
        sync() | client(topics=["^user.*"]),
        "config.user_sync.topic: user-sync is consumed by clients.b, and holds no events",
    ),
    "one port for browsers and metrics": (
        sync({"statusPort": 8090}),
        "userSync.statusPort: is userSync.port too",
    ),
    "fewer pods at most than at least": (
        sync({"autoscaling": {"minReplicas": 11}}),
        "userSync.autoscaling.maxReplicas: 10 is less than minReplicas (11)",
    ),
    "an autoscaler that has nothing to go by": (
        sync({"resources": {"requests": {"cpu": None}}}),
        "userSync.resources.requests.cpu: missing; the autoscaler goes by it",
    ),
    "no pods at least": (sync({"autoscaling": {"minReplicas": 0}}), "/userSync/autoscaling/minReplicas"),
    "TLS for nobody": (sync(ingress()), "userSync.ingress.hosts: missing; write the endpoint's names"),
    "a host that is none": (sync(ingress("https://sync.partner.com")), "/userSync/ingress/hosts/0"),
    "a host twice": (sync(ingress("a.partner.com", "a.partner.com")), "/userSync/ingress/hosts"),
    "a host that the cookie is not for": (
        sync(ingress("sync.partner.com"), cookie={"domain": "artner.com"}),
        "userSync.ingress.hosts: sync.partner.com is not in config.user_sync.cookie.domain (artner.com)",
    ),
    "hosts of TLS": (sync(ingress("a.b", tls={"hosts": ["c.d"]})), "additional properties 'hosts'"),
    "a budget of more than all": (
        sync({"podDisruptionBudget": {"maxUnavailable": "101%"}}),
        "/userSync/podDisruptionBudget/maxUnavailable",
    ),
    "a pod that answers for longer than it has": (sync({"preStopSeconds": 11}), "/userSync/preStopSeconds"),
    "the bridge's account for strangers": (
        sync({"serviceAccount": {"name": "bridge-s2s-bridge"}}),
        "userSync.serviceAccount.name: bridge-s2s-bridge is the bridge's too, whose roles are not for pods",
    ),
    "a volume of its own": (sync({"persistence": {}}), "additional properties 'persistence'"),
}


@pytest.mark.helm
@pytest.mark.parametrize("what", REFUSED)
def test_what_helm_refuses(helm, what):
    """Before anything is changed, by the value's path; no secret that was written by mistake is repeated."""
    changes, words = REFUSED[what]
    said = refusal(helm, merged(ONE, changes))
    assert words in said
    assert "hunter2" not in said


@pytest.mark.helm
def test_all_faults_are_told_at_once(helm):
    """As `check` does: what the schema has none of, the templates tell together."""
    changes = client(account="other", format="avro") | {"persistence": {"size": "1Gi"}}
    said = refusal(helm, merged(ONE, changes))
    expected = ("clients.b.account", "clients.b.schema", "persistence.size")
    assert [path for path in expected if path not in said] == []


@pytest.mark.helm
def test_readme_shows_what_helm_says(helm):
    """Its least values render, and each refusal that it quotes is one, word for word."""
    blocks = (CHART / "README.md").read_text().split("```")[1::2]
    (least,) = [
        yaml.safe_load(block.removeprefix("yaml")) for block in blocks if block.startswith("yaml\nclients")
    ]
    least["accounts"]["default"]["sftp"]["host_key"] = ONE["accounts"]["default"]["sftp"]["host_key"]
    assert least == ONE
    (quoted,) = [block for block in blocks if "$ helm template" in block]
    for shown in quoted.split("$ ")[1:]:
        command, *lines = shown.strip().splitlines()
        said = refusal(helm, ONE, *shlex.split(command)[6:])
        assert [line.rstrip() for line in said.splitlines()][: len(lines)] == lines


@pytest.mark.helm
def test_an_avro_client_without_a_registry(helm):
    """The default format needs one, or a schema: said of each client that has neither."""
    kafka_alone = ONE | {"config": {"kafka": ONE["config"]["kafka"]}}
    assert "clients.acme.schema: missing; format avro-confluent needs it" in refusal(helm, kafka_alone)
