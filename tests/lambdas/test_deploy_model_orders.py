"""DeployModel under any order of events, decisions and faults: where every history ends."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lambdas.deployment_cloud import TRIAL, DeploymentCloud
from tests.lambdas.deployment_steps import HOURLY, deliver, drain, play, waits

faults = st.sampled_from([(), (), ("broken",), ("wrong",)])
which = st.integers(0, 5)
steps = st.one_of(
    st.tuples(st.just("register"), faults),
    st.tuples(st.just("Approved"), which),
    st.tuples(st.just("Approved"), which),  # twice as often: most of what can go wrong goes wrong after an approval
    st.tuples(st.just("Rejected"), which),
    st.tuples(st.just("shadow"), which, st.sampled_from(["1", "0.25"])),
    st.tuples(st.just("deliver"), which, st.booleans()),
    st.just(("settle",)),
    st.just(("rest",)),
    st.just(("vanish",)),
    st.tuples(st.sampled_from(["machines", "verifiable"]), st.booleans()),
    st.just(("hour",)),
)
# Among them what happens while the next verification is made.
steps = st.one_of(steps, st.tuples(st.just("meanwhile"), st.lists(steps, max_size=5)))


@settings(max_examples=400)
@given(st.lists(faults, min_size=1, max_size=4), st.lists(steps, max_size=30), st.data())
def test_after_any_history_the_newest_approved_version_serves(versions, history, data):
    cloud = DeploymentCloud()
    for kind in versions:
        cloud.register(*kind)
    play(cloud, history)
    cloud.machines = cloud.verifiable = True
    cloud.meanwhile = lambda: None
    cloud.settle()
    serving = cloud.live
    # A day passes, and another: the schedule catches up with what no event tells of.
    for _ in range(3):
        cloud.clock += timedelta(days=1)
        cloud.events.append(HOURLY)
        drain(cloud, lambda n: data.draw(st.integers(0, n - 1), label="which event arrives"))
    if cloud.approved():
        assert cloud.live == max(cloud.approved())
    elif serving is not None:
        assert cloud.live is not None, "the endpoint stopped serving because an approval was withdrawn"
    assert not (cloud.broken | cloud.wrong) & set(cloud.served), "a bad version came to serve"
    assert cloud.rejected_by_code <= cloud.broken | cloud.wrong, "a good version lost its approval"
    assert TRIAL not in cloud.endpoints, "the trial endpoint was left, and costs money"
    if cloud.live is not None:
        assert cloud.history()[-1]["version"] == cloud.live
        wanted = max(cloud.shadows(), default=None)
        assert cloud.shadow == (None if wanted == cloud.live else wanted), "another version gets copies than is to"
        assert cloud.history()[-1].get("shadow", {}).get("version") == cloud.shadow
    assert not cloud.broken & set(cloud.shadowed), "a version that cannot start came to be a shadow"
    assert cloud.refused_shadows <= cloud.broken, "a good version is a shadow no more"


CHANGING = ("Create", "Update", "Delete", "Invoke", "PutEvents")


@settings(max_examples=100)
@given(st.lists(faults, min_size=1, max_size=3), st.data())
def test_no_order_of_events_about_metadata_loops_or_deploys_twice(versions, data):
    """SageMaker tells of every update of a version, also of those that DeployModel itself writes."""
    cloud = DeploymentCloud()
    told = []
    for version in [cloud.register(*kind) for kind in versions]:
        cloud.decide(version, "Approved")
    while cloud.events or cloud.busy:
        if cloud.events:
            told.append(cloud.events.pop(data.draw(st.integers(0, len(cloud.events) - 1))))
            deliver(cloud, told[-1], waits(cloud))
        else:
            cloud.settle()
        assert len(told) < 100, "the function's own updates keep it going"
    own = [
        event for event in told if "CustomerMetadataProperties" in event["detail"].get("UpdatedModelPackageFields", ())
    ]
    assert own
    assert len(cloud.served) <= 1, "a version was deployed twice, or one after another"
    cloud.calls.clear()
    for event in data.draw(st.permutations(own)):
        deliver(cloud, event, waits(cloud))
    assert not [call for call in cloud.calls if call.startswith(CHANGING)]


@settings(max_examples=100)
@given(st.data())
def test_without_machines_only_a_persons_approval_tries_a_version_again(data):
    """The approval makes the trial endpoint; what DeployModel notes with the version does not make another."""
    cloud = DeploymentCloud()
    cloud.machines = False
    cloud.decide(cloud.register(), "Approved")
    deliver(cloud, cloud.events.pop())
    cloud.settle()
    drain(cloud, lambda n: data.draw(st.integers(0, n - 1), label="which event arrives"))
    assert cloud.calls.count("CreateEndpoint") == 1
