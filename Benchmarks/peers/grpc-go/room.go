package main

import (
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "./mes_grpc"
)

// reader holds the messages that wait for one stream.
type reader struct {
	mutex    sync.Mutex
	messages []*pb.Message
	// Has room for one token: there are messages.
	arrived chan struct{}
}

func (r *reader) push(message *pb.Message) {
	r.mutex.Lock()
	r.messages = append(r.messages, message)
	r.mutex.Unlock()
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// take returns the messages that have come, and leaves the reader a slice to be filled again.
func (r *reader) take(empty []*pb.Message) []*pb.Message {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	messages := r.messages
	r.messages = empty[:0]
	return messages
}

// room is the one order of messages, and the readers that are there.
type room struct {
	mutex   sync.Mutex
	last    int64
	readers map[*reader]struct{}
}

func newRoom() *room {
	return &room{readers: make(map[*reader]struct{})}
}

func (r *room) append(request *pb.SendMessageRequest) *timestamppb.Timestamp {
	now := time.Now().UnixNano()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if now <= r.last {
		now = r.last + 1
	}
	r.last = now
	sendTime := timestamppb.New(time.Unix(0, now))
	message := &pb.Message{Author: request.GetAuthor(), Text: request.GetText(), SendTime: sendTime}
	for reader := range r.readers {
		reader.push(message)
	}
	return sendTime
}

func (r *room) join() *reader {
	reader := &reader{arrived: make(chan struct{}, 1)}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.readers[reader] = struct{}{}
	return reader
}

func (r *room) leave(reader *reader) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.readers, reader)
}
