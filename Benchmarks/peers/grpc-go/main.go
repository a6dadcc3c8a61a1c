// The messenger on grpc-go.
package main

import (
	"context"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "./mes_grpc"
)

type server struct {
	pb.UnimplementedMessengerServerServer
	room *room
}

func (s *server) SendMessage(_ context.Context, request *pb.SendMessageRequest) (*pb.SendMessageResponse, error) {
	return &pb.SendMessageResponse{SendTime: s.room.append(request)}, nil
}

func (s *server) ReadMessages(_ *pb.ReadMessagesRequest, stream pb.MessengerServer_ReadMessagesServer) error {
	reader := s.room.join()
	defer s.room.leave(reader)
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	var messages []*pb.Message
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-reader.arrived:
		}
		messages = reader.take(messages)
		for index, message := range messages {
			if err := stream.Send(message); err != nil {
				return err
			}
			messages[index] = nil
		}
	}
}

func main() {
	port := os.Getenv("MESSENGER_SERVER_PORT")
	if port == "" {
		port = "51075"
	}
	listener, err := net.Listen("tcp", "0.0.0.0:"+port)
	if err != nil {
		log.Fatal(err)
	}
	grpcServer := grpc.NewServer()
	pb.RegisterMessengerServerServer(grpcServer, &server{room: newRoom()})
	log.Fatal(grpcServer.Serve(listener))
}
