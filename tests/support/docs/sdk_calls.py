"""The calls of Dapr's SDKs, and for each its row of docs/dapr/sdks.md.

The rule: a call whose name is not in its row has the row's name beside it. The calls are those of clients that manage
workflows, of the context of workflow code, and of the state API.

`tests/house/test_sdks.py` compares the page with it.
"""

from collections.abc import Mapping


def named(*calls: str) -> dict[str, str]:
    """Calls whose rows have their names."""
    return {call: call for call in calls}


# SDK -> part of it -> call -> text of its row.
CALLS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "Python": {
        "clients": {
            **named("schedule_new_workflow", "get_workflow_state", "wait_for_workflow_start"),
            **named("wait_for_workflow_completion", "raise_workflow_event", "terminate_workflow", "purge_workflow"),
            "pause_workflow": "client pause_and_resume_workflow",
            "resume_workflow": "client pause_and_resume_workflow",
            **named("list_workflow_instance_ids", "get_workflow_history", "rerun_workflow_from_event"),
            **named("start_workflow", "get_workflow", "get_metadata", "set_metadata"),
        },
        "context": {
            "call_activity": "worker activities",
            "call_activity(retry_policy)": "worker retries",
            "call_activity(app_id)": "call_activity(app_id)",
            "call_child_workflow": "worker children",
            "call_child_workflow(app_id)": "call_child_workflow(app_id)",
            "create_timer": "worker timers",
            "wait_for_external_event": "worker timer_with_an_event",
            "wait_for_external_event(timeout)": "worker event_timeout",
            "when_all": "worker when_all",
            "when_any": "worker timer_with_an_event",
            "continue_as_new": "worker continue_as_new",
            "set_custom_status": "worker custom_status",
            "current_utc_datetime": "worker determinism",
            "is_replaying": "worker determinism",
            "is_patched": "worker patches",
            "get_propagated_history": "worker propagated_history",
        },
        "state": {
            "save_state": "save_and_get",
            "save_state(etag)": "update_with_etag",
            "get_state": "save_and_get",
            "save_bulk_state": "bulk",
            "get_bulk_state": "bulk",
            "execute_state_transaction": "transaction",
            "delete_state": "delete",
        },
    },
    "JavaScript": {
        "clients": {
            **named("start", "get", "pause", "resume", "raise", "terminate", "purge"),
            **named("scheduleNewWorkflow", "getWorkflowState", "waitForWorkflowStart", "waitForWorkflowCompletion"),
            **named("raiseEvent", "suspendWorkflow", "resumeWorkflow", "terminateWorkflow", "purgeWorkflow"),
        },
        "context": {
            **named("callActivity", "callChildWorkflow", "callSubWorkflow", "createTimer", "waitForExternalEvent"),
            **named("whenAny", "whenAll", "continueAsNew", "setCustomStatus"),
            **named("getWorkflowInstanceId", "getCurrentUtcDateTime", "isReplaying"),
        },
        "state": {
            "save": "saveAndGet",
            "save (etag)": "update",
            "get": "saveAndGet",
            "getBulk": "bulk",
            "transaction": "transaction",
            "delete": "remove",
        },
    },
    "Go": {
        "clients": {
            **named("ScheduleWorkflow", "FetchWorkflowMetadata", "WaitForWorkflowStart", "WaitForWorkflowCompletion"),
            **named("RaiseEvent", "SuspendWorkflow", "ResumeWorkflow", "TerminateWorkflow", "PurgeWorkflowState"),
            **named("ListInstanceIDs", "GetInstanceHistory", "RerunWorkflowFromEvent"),
            **named("StartWorkflow", "GetWorkflow", "PauseWorkflow", "ResumeWorkflow", "RaiseEventWorkflow"),
            **named("PurgeWorkflow"),
        },
        "context": {
            **named("CallActivity", "CallChildWorkflow", "CreateTimer", "WaitForExternalEvent", "ContinueAsNew"),
            **named("SetCustomStatus", "IsPatched", "GetPropagatedHistory"),
            **named("ID", "Name", "CurrentTimeUTC", "IsReplaying"),
        },
        "state": named(
            *("SaveState", "GetState", "SaveStateWithETag", "SaveBulkState", "GetBulkState", "DeleteState"),
            "ExecuteStateTransaction",
        ),
    },
    "Java": {
        "clients": named(
            *("scheduleNewWorkflow", "getInstanceState", "waitForInstanceStart", "waitForInstanceCompletion"),
            *("raiseEvent", "suspendWorkflow", "resumeWorkflow", "terminateWorkflow", "purgeInstance"),
        ),
        "context": named(
            *("callActivity", "callChildWorkflow", "createTimer", "waitForExternalEvent", "allOf", "anyOf"),
            *("continueAsNew", "setCustomStatus", "newUuid", "getCurrentInstant", "isReplaying", "getInstanceId"),
            "getName",
        ),
        "state": named(
            *("saveState", "getState", "saveBulkState", "getBulkState", "executeStateTransaction", "deleteState")
        ),
    },
    # The rows of the published SDK are named by the scenarios of a program that is not in the repository.
    ".NET": {
        "clients": {
            "ScheduleNewWorkflowAsync": "DaprWorkflowClient schedule_new_workflow",
            "ScheduleNewWorkflowAsync(startTime)": "start-later",
            "GetWorkflowStateAsync": "DaprWorkflowClient get_workflow_state",
            "WaitForWorkflowStartAsync": "wait-for-start",
            "WaitForWorkflowCompletionAsync": "wait-for-completion",
            "RaiseEventAsync": "DaprWorkflowClient raise_event",
            "SuspendWorkflowAsync": "suspend-resume",
            "ResumeWorkflowAsync": "suspend-resume",
            "TerminateWorkflowAsync": "terminate",
            "PurgeInstanceAsync": "purge",
            "ListInstanceIdsAsync": "list-ids",
            "GetInstanceHistoryAsync": "history",
            "RerunWorkflowFromEventAsync": "rerun",
            "StartWorkflowAsync": "start",
            "GetWorkflowAsync": "get",
            "PauseWorkflowAsync": "pause",
            "ResumeWorkflowAsync of DaprClient": "resume",
            "RaiseWorkflowEventAsync": "raise-event",
        },
        "context": {
            "CallActivityAsync": "chain",
            "CallActivityAsync(retry policy)": "retry",
            "CallChildWorkflowAsync": "children",
            "CreateTimer": "guide",
            "WaitForExternalEventAsync": "guide",
            "WaitForExternalEventAsync(timeout)": "timeout",
            "ContinueAsNew": "continue-as-new",
            "SetCustomStatus": "guide",
            "CurrentUtcDateTime": "guide",
            "NewGuid": "guide",
            "SendEvent": "send-event",
            "IsPatched": "patched",
            "TaskExecutionKey": "task-key",
        },
        "state": {
            "SaveStateAsync": "save-get",
            "GetStateAsync": "save-get",
            "TrySaveStateAsync": "etag",
            "TryDeleteStateAsync": "delete-etag",
            "GetBulkStateAsync": "bulk",
            "ExecuteStateTransactionAsync": "transaction",
        },
    },
}
