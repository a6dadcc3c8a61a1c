/// The outcome of a call: a code, and a sentence for people unless the code is `ok`.
///
/// See [the definition of gRPC's status codes](https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
public struct Status: Sendable, Hashable {
    /// The kind of outcome.
    public var code: Code
    /// A sentence for people, possibly empty. Sent as UTF-8.
    public var message: String

    /// A status with a code and a sentence for people.
    public init(code: Code, message: String = "") {
        self.code = code
        self.message = message
    }

    /// The call succeeded.
    public static let ok = Status(code: .ok)

    /// Whether the codes are the same, and the messages byte for byte.
    public static func == (left: Status, right: Status) -> Bool {
        left.code == right.code && left.message.hasBytes(of: right.message)
    }

    /// Hashes the code and the message's bytes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(code)
        message.hashBytes(into: &hasher)
    }
}

extension Status {
    /// One of gRPC's status codes, 0 to 16.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Value: Int {
            case ok, cancelled, unknown, invalidArgument, deadlineExceeded, notFound, alreadyExists, permissionDenied
            case resourceExhausted, failedPrecondition, aborted, outOfRange, unimplemented, `internal`, unavailable
            case dataLoss, unauthenticated
        }

        private let value: Value

        private init(_ value: Value) {
            self.value = value
        }

        /// The code with this number on the wire; `nil` if gRPC does not define it.
        public init?(rawValue: Int) {
            guard let value = Value(rawValue: rawValue) else { return nil }
            self.value = value
        }

        /// The code's number on the wire.
        public var rawValue: Int { value.rawValue }

        /// The code's name as gRPC writes it, for example `INVALID_ARGUMENT`.
        public var description: String {
            var name = ""
            for character in "\(value)" {
                if character.isUppercase { name += "_" }
                name += character.uppercased()
            }
            return name
        }

        /// No error.
        public static let ok = Code(.ok)
        /// The call was cancelled, usually by the caller.
        public static let cancelled = Code(.cancelled)
        /// The reason has no code, or is kept secret.
        public static let unknown = Code(.unknown)
        /// The request is wrong in any state of the server.
        public static let invalidArgument = Code(.invalidArgument)
        /// The deadline passed first. The server may have done the work.
        public static let deadlineExceeded = Code(.deadlineExceeded)
        /// What the caller asked for does not exist.
        public static let notFound = Code(.notFound)
        /// What the caller wanted to create exists already.
        public static let alreadyExists = Code(.alreadyExists)
        /// The caller is authenticated, but not allowed to do this.
        public static let permissionDenied = Code(.permissionDenied)
        /// A limit was reached, for example of message size, streams or memory.
        public static let resourceExhausted = Code(.resourceExhausted)
        /// The server's state does not allow it. A retry fails until that state has changed.
        public static let failedPrecondition = Code(.failedPrecondition)
        /// Aborted, for example by a conflict. The whole transaction can be retried.
        public static let aborted = Code(.aborted)
        /// Outside the range that is valid now. It may have been valid before, or may become valid.
        public static let outOfRange = Code(.outOfRange)
        /// The server does not have this method, or does not support what the call needs.
        public static let unimplemented = Code(.unimplemented)
        /// Something impossible happened: a bug.
        public static let `internal` = Code(.internal)
        /// The service cannot be reached, or is shutting down. The call can be retried.
        public static let unavailable = Code(.unavailable)
        /// Data is lost or damaged beyond repair.
        public static let dataLoss = Code(.dataLoss)
        /// The caller is not authenticated.
        public static let unauthenticated = Code(.unauthenticated)
    }
}

// MARK: - RPCError

/// Why a call failed. A client's calls throw it. A server's handler throws it to end its call with this status.
public struct RPCError: Error, Sendable {
    /// The kind of failure. `ok` is no error: a handler that throws it gives `UNKNOWN`.
    public var code: Status.Code
    /// A sentence for people. A server sends it to the client, so it must not reveal internals.
    public var message: String
    /// The trailing metadata of the status.
    public var metadata: Metadata
    /// The error that led to this one. Never sent.
    public var cause: (any Error)?

    /// An error with a code and a sentence that the peer may see.
    public init(code: Status.Code, message: String, metadata: Metadata = [:], cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.metadata = metadata
        self.cause = cause
    }
}

extension RPCError {
    /// The error's details: an encoded `google.rpc.Status`, which can hold any protobuf messages. `nil` if there are
    /// none.
    ///
    /// They travel in ``metadata``, under `grpc-status-details-bin`, as with gRPC's other libraries. A server should
    /// repeat its ``code`` and ``message`` in them, and keep them small: see
    /// ``ServerContext/setTrailingMetadata(_:)``.
    ///
    /// ```swift
    /// var error = RPCError(code: .resourceExhausted, message: "the quota is used up")
    /// error.details = [8, 8]  // what a protobuf library has encoded
    /// throw error
    /// ```
    public var details: [UInt8]? {
        get { metadata.firstBinary(Self.detailsKey) }
        set {
            metadata.removeAll(Self.detailsKey)
            if let newValue { metadata.append(.binary(newValue), forKey: Self.detailsKey) }
        }
    }

    private static let detailsKey = "grpc-status-details-bin"
}

extension RPCError: CustomStringConvertible {
    /// The code's name and the sentence.
    public var description: String { "\(code): \(message)" }
}

extension RPCError {
    /// A handler's error as its client may see it. An error that is no ``RPCError`` becomes `UNKNOWN` with a fixed
    /// sentence, so that no internals leak.
    init(ofHandler error: any Error) {
        switch error {
        case let error as RPCError where error.code != .ok: self = error
        case is CancellationError: self.init(code: .cancelled, message: "the call was cancelled", cause: error)
        default: self.init(code: .unknown, message: "the handler of this method failed", cause: error)
        }
    }

    /// The error of every call on a completion queue that has been shut down.
    static var shutDown: RPCError { RPCError(code: .unavailable, message: "the completion queue has been shut down") }
}

// MARK: - MisuseError

/// A mistake in the use of this library: the ``RPCError/cause`` of an error with the code `INTERNAL`.
public struct MisuseError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The mistake.
    public let code: Code

    /// One sentence for people.
    public var description: String { code.value.rawValue }

    /// The mistakes that the library detects.
    public struct Code: Sendable, Hashable {
        fileprivate enum Value: String {
            case concurrentWrites = "a write on this call began before the previous one had returned"
            case concurrentReads = "a read on this call began before the previous one had returned"
            case writeAfterFinish = "the stream of requests has been finished"
            case secondResponse = "the response of this call has been asked for already"
            case secondInitialMetadata = "initial metadata has been sent already"
            case concurrentSubscriptions = "a stream is subscribed to one broadcast at a time"
            case foreignBroadcast = "the broadcast belongs to another group than the server"
            case foreignThread = "a stream subscribes to a broadcast in its handler's own task only"
        }

        fileprivate let value: Value

        /// A write began before the previous one had returned.
        public static let concurrentWrites = Code(value: .concurrentWrites)
        /// A read began before the previous one had returned.
        public static let concurrentReads = Code(value: .concurrentReads)
        /// A write after ``RequestWriter/finish()``, or a second one of these.
        public static let writeAfterFinish = Code(value: .writeAfterFinish)
        /// A second ``ClientStreamingCall/response()``.
        public static let secondResponse = Code(value: .secondResponse)
        /// Initial metadata was sent twice, or after the first message.
        public static let secondInitialMetadata = Code(value: .secondInitialMetadata)
        /// A second ``ResponseWriter/subscribe(to:next:)`` on one call.
        package static let concurrentSubscriptions = Code(value: .concurrentSubscriptions)
        /// A ``Broadcast`` of another group than the server's.
        package static let foreignBroadcast = Code(value: .foreignBroadcast)
        /// ``ResponseWriter/subscribe(to:next:)`` outside the handler's own task.
        package static let foreignThread = Code(value: .foreignThread)
    }
}

extension RPCError {
    static func misuse(_ code: MisuseError.Code) -> RPCError {
        let error = MisuseError(code: code)
        return RPCError(code: .internal, message: error.description, cause: error)
    }
}
