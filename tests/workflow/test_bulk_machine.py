"""The bulk state machine: the same steps as for one photo, a bounded Map around them, nothing too large in a state."""

import json
from fnmatch import fnmatchcase

import pytest

from tests.workflow.application import as_list, bulk_machine, machine, resources, statements

MAP = bulk_machine()["States"]["ClassifyAll"]
CHILD = MAP["ItemProcessor"]
TASKS = sorted(name for name, state in CHILD["States"].items() if state["Type"] == "Task")


@pytest.mark.parametrize("task", TASKS)
def test_a_photo_in_bulk_is_handled_as_a_single_one(task):
    """Comment and Next apart: where a task leads is the machine's own."""
    single, bulk = machine()["States"][task], CHILD["States"][task]
    own = {"Comment", "Next"}
    assert {k: v for k, v in bulk.items() if k not in own} == {k: v for k, v in single.items() if k not in own}


def test_all_tasks_of_the_single_photo_are_there():
    assert sorted(name for name, state in machine()["States"].items() if state["Type"] == "Task") == TASKS


def test_a_child_is_express_and_every_task_fits_into_its_five_minutes():
    assert CHILD["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
    assert sum(CHILD["States"][task]["TimeoutSeconds"] for task in TASKS) < 300


def test_the_run_is_bounded_and_a_few_bad_photos_do_not_end_it():
    assert 0 < MAP["MaxConcurrency"] <= 100
    assert 0 < MAP["ToleratedFailurePercentage"] < 20
    assert bulk_machine()["TimeoutSeconds"] > 0


def test_the_answers_go_to_s3_and_not_through_a_state():
    """A thousand answers are more than the 256 KiB of a state: with ResultWriter its output is one address."""
    assert MAP["ResultWriter"]["Resource"].endswith(":s3:putObject")
    assert "ResultSelector" not in MAP
    prefix = MAP["ResultWriter"]["Parameters"]["Prefix.$"]
    assert prefix == "States.Format('bulk-results/{}', $$.Execution.Name)"


def test_a_photo_for_review_is_a_result_and_not_a_failure():
    ends = {name: state for name, state in CHILD["States"].items() if state.get("End")}
    said = {(state.get("Parameters") or state["Result"])["outcome"] for state in ends.values()}
    assert said == {"routed", "review", "left out"}
    assert not [state for state in CHILD["States"].values() if state["Type"] == "Fail"]


@pytest.mark.parametrize(
    ("key", "left_out"),
    [
        ("bulk/june/", True),
        ("bulk/june/sub/", True),
        ("bulk/june/._a.png", True),
        ("bulk/june/.thumbnails/a.png", True),
        ("bulk/june/sub_$folder$", True),
        ("bulk/june/a.png", False),
        ("bulk/june/a", False),
        ("bulk/june/a.b/c.d.png", False),
    ],
)
def test_what_is_no_file_or_hidden_is_left_out(key, left_out):
    (choice,) = CHILD["States"][CHILD["StartAt"]]["Choices"]
    patterns = [rule["StringMatches"] for rule in choice["Or"]]
    assert any(fnmatchcase(key, pattern) for pattern in patterns) is left_out
    assert choice["Next"] == "LeftOut"


def test_every_state_of_a_child_can_be_reached():
    reached, waiting = set(), [CHILD["StartAt"]]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        state = CHILD["States"][name]
        nexts = [state.get("Next"), state.get("Default")]
        nexts += [choice["Next"] for choice in (*state.get("Catch", []), *state.get("Choices", []))]
        waiting += [to for to in nexts if to and to not in reached]
    assert reached == set(CHILD["States"])


def test_the_map_may_read_its_list_write_results_and_start_its_children():
    granted = {
        action: json.dumps(said["Resource"])
        for said in statements("BulkInferenceRole")
        for action in as_list(said["Action"])
    }
    assert granted["s3:PutObject"] == json.dumps({"Fn::Sub": "${DataBucket.Arn}/bulk-results/*"})
    assert granted["s3:ListBucket"] == json.dumps({"Fn::GetAtt": ["DataBucket", "Arn"]})
    assert "${Name}-bulk" in granted["states:StartExecution"]
    named = resources("AWS::StepFunctions::StateMachine")["BulkInference"]["StateMachineName"]
    assert named == {"Fn::Sub": "${Name}-bulk"}


def test_the_machine_reads_only_below_the_prefix_that_it_is_given():
    assert MAP["ItemReader"]["Parameters"] == {"Bucket.$": "$.bucket", "Prefix.$": "$.prefix"}
    assert MAP["ItemSelector"] == {"bucket.$": "$.bucket", "key.$": "$$.Map.Item.Value.Key"}
