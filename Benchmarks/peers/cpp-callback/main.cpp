// The messenger on gRPC C++'s callback API.
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "messenger.grpc.pb.h"
#include "reader.hpp"
#include "room.hpp"

namespace {

class Service final : public mes_grpc::MessengerServer::CallbackService {
public:
    grpc::ServerUnaryReactor* SendMessage(grpc::CallbackServerContext* context,
                                          const mes_grpc::SendMessageRequest* request,
                                          mes_grpc::SendMessageResponse* response) override {
        *response->mutable_sendtime() = room_.append(*request);
        auto* reactor = context->DefaultReactor();
        reactor->Finish(grpc::Status::OK);
        return reactor;
    }

    grpc::ServerWriteReactor<mes_grpc::Message>* ReadMessages(grpc::CallbackServerContext*,
                                                              const mes_grpc::ReadMessagesRequest*) override {
        return new Reader(room_);
    }

private:
    Room room_;
};

}  // namespace

int main() {
    const char* variable = std::getenv("MESSENGER_SERVER_PORT");
    const std::string port = variable != nullptr ? variable : "51075";
    Service service;
    int bound = 0;
    const auto server = grpc::ServerBuilder()
                            .AddListeningPort("0.0.0.0:" + port, grpc::InsecureServerCredentials(), &bound)
                            .AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0)
                            .RegisterService(&service)
                            .BuildAndStart();
    if (!server || bound == 0) {
        std::fprintf(stderr, "cannot listen on port %s\n", port.c_str());
        return 1;
    }
    server->Wait();
}
