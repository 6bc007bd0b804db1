// A client of go-statemachine, on its published stubs: walks through every rpc of
// statemachine.v1beta as users of that system call it, and prints one line for each.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	pb "github.com/massenz/statemachine-proto/golang/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func main() {
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := pb.NewStatemachineServiceClient(conn)

	health, err := c.Health(ctx, &emptypb.Empty{})
	say("Health", err, health.GetState())

	orders := &pb.Configuration{
		Name: "go.orders", Version: "v1", StartingState: "start",
		States: []string{"start", "pending", "shipped"},
		Transitions: []*pb.Transition{
			{From: "start", To: "pending", Event: "accept"},
			{From: "pending", To: "shipped", Event: "ship"},
			{From: "pending", To: "start", Event: "ship"},
		},
	}
	put, err := c.PutConfiguration(ctx, orders)
	say("PutConfiguration", err, put.GetId(), put.GetConfig().GetStates())
	_, err = c.PutConfiguration(ctx, orders)
	say("PutConfiguration again", err)
	_, err = c.PutConfiguration(ctx, &pb.Configuration{Name: "go.bad", States: []string{"a", "b"}, StartingState: "a"})
	say("PutConfiguration bad", err)

	names, err := c.GetAllConfigurations(ctx, wrapperspb.String(""))
	say("GetAllConfigurations", err, names.GetIds())
	ids, err := c.GetAllConfigurations(ctx, wrapperspb.String("go.orders"))
	say("GetAllConfigurations name", err, ids.GetIds())
	config, err := c.GetConfiguration(ctx, wrapperspb.String("go.orders:v1"))
	say("GetConfiguration", err, config.GetStartingState())
	_, err = c.GetConfiguration(ctx, wrapperspb.String("go.orders:v9"))
	say("GetConfiguration unknown", err)
	configs, err := c.StreamAllConfigurations(ctx, wrapperspb.String("go.orders"))
	say("StreamAllConfigurations", err)
	for err == nil {
		var one *pb.Configuration
		if one, err = configs.Recv(); err == nil {
			fmt.Println("  ", one.GetName(), one.GetVersion())
		}
	}
	if err != io.EOF {
		say("StreamAllConfigurations end", err)
	}

	fsm, err := c.PutFiniteStateMachine(ctx, &pb.PutFsmRequest{Id: "o-1", Fsm: &pb.FiniteStateMachine{ConfigId: "go.orders:v1"}})
	say("PutFiniteStateMachine", err, fsm.GetId(), fsm.GetFsm().GetState())
	_, err = c.PutFiniteStateMachine(ctx, &pb.PutFsmRequest{Id: "o-1", Fsm: &pb.FiniteStateMachine{ConfigId: "go.orders:v1"}})
	say("PutFiniteStateMachine again", err)
	_, err = c.PutFiniteStateMachine(ctx, &pb.PutFsmRequest{Fsm: &pb.FiniteStateMachine{ConfigId: "none:v1"}})
	say("PutFiniteStateMachine unknown configuration", err)
	made, err := c.PutFiniteStateMachine(ctx, &pb.PutFsmRequest{Fsm: &pb.FiniteStateMachine{ConfigId: "go.orders:v1", State: "pending"}})
	say("PutFiniteStateMachine no id", err, len(made.GetId()), made.GetFsm().GetState())

	send := func(what string, request *pb.EventRequest) {
		answer, err := c.SendEvent(ctx, request)
		say("SendEvent "+what, err, answer.GetEventId(), answer.GetOutcome().GetCode(), answer.GetOutcome().GetId())
	}
	event := func(id, name string) *pb.Event {
		return &pb.Event{EventId: id, Transition: &pb.Transition{Event: name}, Originator: "go", Details: "d-" + id}
	}
	send("accept", &pb.EventRequest{Config: "go.orders", Id: "o-1", Event: event("e-1", "accept")})
	send("accept again", &pb.EventRequest{Config: "go.orders", Id: "o-1", Event: event("e-1", "accept")})
	send("first edge wins", &pb.EventRequest{Config: "go.orders", Id: "o-1", Event: event("e-2", "ship")})
	send("not allowed", &pb.EventRequest{Config: "go.orders", Id: "o-1", Event: event("e-3", "accept")})
	send("no such machine", &pb.EventRequest{Config: "go.orders", Id: "o-9", Event: event("e-4", "accept")})
	send("no such configuration", &pb.EventRequest{Config: "nothing", Id: "o-9", Event: event("e-5", "accept")})
	send("without id", &pb.EventRequest{Config: "go.orders", Event: event("e-6", "accept")})
	send("without name", &pb.EventRequest{Config: "go.orders", Id: "o-1", Event: &pb.Event{EventId: "e-7"}})

	outcome, err := c.GetEventOutcome(ctx, &pb.EventRequest{Config: "go.orders", Id: "e-2"})
	say("GetEventOutcome", err, outcome.GetEventId(), outcome.GetOutcome().GetCode(), outcome.GetOutcome().GetId(), outcome.GetOutcome().GetConfig())
	_, err = c.GetEventOutcome(ctx, &pb.EventRequest{Config: "go.orders", Id: "e-99"})
	say("GetEventOutcome unknown", err)

	got, err := c.GetFiniteStateMachine(ctx, &pb.GetFsmRequest{Config: "go.orders", Query: &pb.GetFsmRequest_Id{Id: "o-1"}})
	say("GetFiniteStateMachine", err, got.GetConfigId(), got.GetState())
	for _, past := range got.GetHistory() {
		t := past.GetTransition()
		fmt.Println("  ", past.GetEventId(), t.GetFrom(), t.GetTo(), t.GetEvent(), past.GetOriginator(), past.GetDetails(), past.GetTimestamp().IsValid())
	}
	in, err := c.GetAllInState(ctx, &pb.GetFsmRequest{Config: "go.orders", Query: &pb.GetFsmRequest_State{State: "shipped"}})
	say("GetAllInState", err, in.GetIds())
	_, err = c.GetAllInState(ctx, &pb.GetFsmRequest{Config: "go.orders"})
	say("GetAllInState no state", err)
	machines, err := c.StreamAllInstate(ctx, &pb.GetFsmRequest{Config: "go.orders", Query: &pb.GetFsmRequest_State{State: "shipped"}})
	say("StreamAllInstate", err)
	for err == nil {
		var one *pb.PutResponse
		if one, err = machines.Recv(); err == nil {
			fmt.Println("  ", one.GetId(), one.GetFsm().GetState(), len(one.GetFsm().GetHistory()))
		}
	}
	if err != io.EOF {
		say("StreamAllInstate end", err)
	}
}

func say(what string, err error, facts ...any) {
	if err != nil {
		fmt.Println(what+":", status.Code(err))
		return
	}
	fmt.Println(append([]any{what + ": OK"}, facts...)...)
}
