import GRPC
import Messenger
import Testing

@testable import Client

@Suite struct SendErrorTests {
    private func error(_ code: Status.Code, trouble: String? = nil, isConnected: Bool = true) -> SendError {
        let metadata: Metadata = trouble.map { [MessengerMethods.troubleKey: .string($0)] } ?? [:]
        let error = RPCError(code: code, message: "the history's disk is full; it is", metadata: metadata)
        return SendError(error, isConnected: isConnected)
    }

    /// The server's own sentence, with a capital letter and a full stop.
    private static let own = "The history's disk is full; it is."

    @Test func aFullStorageIsReported() {
        let full = error(.resourceExhausted, trouble: "full")
        #expect(full == SendError(code: .storageFull, message: Self.own))
    }

    @Test func otherStorageErrorsAreReported() {
        #expect(error(.resourceExhausted, trouble: "busy") == SendError(code: .resourceExhausted, message: Self.own))
        #expect(error(.unavailable, trouble: "away") == SendError(code: .unavailable, message: Self.own))
    }

    /// What is not said to be for users is not shown to them.
    @Test func otherSentencesAreNotPassedOn() {
        let codes: [Status.Code] = [
            .resourceExhausted, .unavailable, .deadlineExceeded, .unknown, .internal, .cancelled,
        ]
        for code in codes {
            #expect(!error(code).message.contains("disk"))
        }
        #expect(error(.resourceExhausted).code == .resourceExhausted)
        #expect(error(.unavailable).code == .unavailable)
        #expect(error(.deadlineExceeded).code == .deadlineExceeded)
        #expect(error(.deadlineExceeded, isConnected: false).code == .unavailable)
        #expect(error(.unknown, trouble: "full").code == .failed)
    }
}
