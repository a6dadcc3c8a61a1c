import GRPCCore

struct MessengerService: MesGrpc_MessengerServer.ServiceProtocol {
    let room: Room

    func sendMessage(
        request: ServerRequest<MesGrpc_SendMessageRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<MesGrpc_SendMessageResponse> {
        var response = MesGrpc_SendMessageResponse()
        response.sendTime = self.room.append(author: request.message.author, text: request.message.text)
        return ServerResponse(message: response)
    }

    // The response's metadata is sent before its producer runs: from then on the stream is open.
    func readMessages(
        request: ServerRequest<MesGrpc_ReadMessagesRequest>,
        context: ServerContext
    ) async throws -> StreamingServerResponse<MesGrpc_Message> {
        let messages = self.room.messages()
        return StreamingServerResponse { writer in
            for await message in messages {
                try await writer.write(message)
            }
            return [:]
        }
    }
}
