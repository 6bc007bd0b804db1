"""A client in Python that has nothing but the address: it asks the server's reflection for the
contract, makes its message classes from that, and walks a machine through its states."""

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "switchgear.fsm.v1.FsmService"
channel = grpc.insecure_channel(sys.argv[1])
database = ProtoReflectionDescriptorDatabase(channel)
print("services:", *sorted(database.get_services()))
pool = DescriptorPool(database)
service = pool.FindServiceByName(SERVICE)


def call(name, timeout=10, **fields):
    method = service.methods_by_name[name]
    request = GetMessageClass(method.input_type)(**fields)
    answer = GetMessageClass(method.output_type)
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    invoke = kind(
        f"/{SERVICE}/{name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=answer.FromString,
    )
    return invoke(request, timeout=timeout)


def stream(name, requests):
    method = service.methods_by_name[name]
    request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    invoke = channel.stream_stream(
        f"/{SERVICE}/{name}",
        request_serializer=request.SerializeToString,
        response_deserializer=answer.FromString,
    )
    return invoke((request(**fields) for fields in requests), timeout=10)


created = call(
    "CreateConfiguration",
    configuration=dict(
        name="py.door",
        version="v1",
        states=["open", "shut"],
        starting_state="open",
        transitions=[
            {"from": "open", "to": "shut", "event": "close"},
            {"from": "shut", "to": "open", "event": "open"},
        ],
    ),
)
print("created:", created.created)
fsm = call("CreateFiniteStateMachine", configuration_name="py.door", fsm_id="d-1").fsm
print("machine:", fsm.id, fsm.state, fsm.version)
sent = call("SendEvent", configuration_name="py.door", fsm_id="d-1", event=dict(event_id="e-1", name="close"))
print("sent:", sent.outcome.WhichOneof("result"), sent.outcome.applied.to, sent.outcome.replayed)
sent = call("SendEvent", configuration_name="py.door", fsm_id="d-1", event=dict(event_id="e-1", name="close"))
print("again:", sent.outcome.WhichOneof("result"), sent.outcome.applied.to, sent.outcome.replayed)

frames = [
    dict(
        frame_id=number,
        events=[dict(configuration_name="py.door", fsm_id="d-1", event=dict(event_id=f"f-{number}", name=name))],
    )
    for number, name in enumerate(["open", "close", "close"])
]
for answer in sorted(stream("StreamEvents", frames), key=lambda frame: frame.frame_id):
    print("frame:", answer.frame_id, *(result.outcome.WhichOneof("result") for result in answer.results))

watch = call("WatchTransitions", configuration_name="py.door", snapshot=True)
for frame in watch:
    for machine in frame.snapshot:
        print("snapshot:", machine.id, machine.state, machine.version)
    if frame.snapshot_complete:
        break
call("SendEvent", configuration_name="py.door", fsm_id="d-1", event=dict(event_id="e-2", name="open"))
for frame in watch:
    if frame.changes:
        change = frame.changes[0]
        print("change:", change.fsm_id, getattr(change, "from"), change.to, change.version)
        break
watch.cancel()

try:
    call("GetFiniteStateMachine", configuration_name="py.door", fsm_id="x" * 257)
except grpc.RpcError as error:
    print("refused:", error.code().name, error.details())
