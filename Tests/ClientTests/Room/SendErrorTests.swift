import LibGRPC
import Messenger
import Testing

@testable import Client

@Suite struct SendErrorTests {
    private func error(_ code: Status.Code, storageError: String? = nil, isConnected: Bool = true) -> SendError {
        let metadata: Metadata = storageError.map { [MessengerMethods.storageErrorKey: .string($0)] } ?? [:]
        let error = RPCError(code: code, message: "the history's disk is full; it is", metadata: metadata)
        return SendError(error, isConnected: isConnected)
    }

    /// The server's message as a sentence.
    private static let sentence = "The history's disk is full; it is."

    @Test func fullStorageHasItsOwnCode() {
        let full = error(.resourceExhausted, storageError: "full")
        #expect(full == SendError(code: .storageFull, message: Self.sentence))
    }

    @Test func otherStorageErrorsKeepTheServersMessage() {
        #expect(
            error(.resourceExhausted, storageError: "busy")
                == SendError(code: .resourceExhausted, message: Self.sentence)
        )
        #expect(error(.unavailable, storageError: "away") == SendError(code: .unavailable, message: Self.sentence))
    }

    @Test func otherServerMessagesAreHidden() {
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
        #expect(error(.unknown, storageError: "full").code == .failed)
    }
}
