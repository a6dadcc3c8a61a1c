/// The outcome of a call: a code, and for anything but `ok` a sentence for people.
///
/// See [the definition of gRPC's status codes](https://grpc.github.io/grpc/core/md_doc_statuscodes.html).
public struct Status: Sendable, Hashable {
    /// What happened.
    public var code: Code
    /// A sentence for people; empty where there is nothing to say. Travels as UTF-8.
    public var message: String

    /// A status with its code and a sentence for people.
    public init(code: Code, message: String = "") {
        self.code = code
        self.message = message
    }

    /// The call was completed.
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

        /// The code with this number on the wire; `nil` for a number that gRPC does not define.
        public init?(rawValue: Int) {
            guard let value = Value(rawValue: rawValue) else { return nil }
            self.value = value
        }

        /// The code's number on the wire.
        public var rawValue: Int { value.rawValue }

        /// The code's name as gRPC writes it, `INVALID_ARGUMENT` for example.
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
        /// Given up, most often by the caller.
        public static let cancelled = Code(.cancelled)
        /// Failed for a reason that has no code, or that is not told.
        public static let unknown = Code(.unknown)
        /// The request is wrong, whatever the state of the server.
        public static let invalidArgument = Code(.invalidArgument)
        /// The deadline passed first. The server may have done its work all the same.
        public static let deadlineExceeded = Code(.deadlineExceeded)
        /// What was asked for is not there.
        public static let notFound = Code(.notFound)
        /// What was to be created is there.
        public static let alreadyExists = Code(.alreadyExists)
        /// The caller is known, and may not do this.
        public static let permissionDenied = Code(.permissionDenied)
        /// A limit was reached: message size, streams, memory.
        public static let resourceExhausted = Code(.resourceExhausted)
        /// The server is not in a state for this; trying again without a change is of no use.
        public static let failedPrecondition = Code(.failedPrecondition)
        /// Broken off, by a conflict for example; the whole transaction can be tried again.
        public static let aborted = Code(.aborted)
        /// Past the range that is valid now; it may have been valid or become so.
        public static let outOfRange = Code(.outOfRange)
        /// The server does not have this method, or not what the call needs.
        public static let unimplemented = Code(.unimplemented)
        /// Something that cannot be has happened.
        public static let `internal` = Code(.internal)
        /// The service cannot be reached or is going away; the call can be tried again.
        public static let unavailable = Code(.unavailable)
        /// Data is lost or damaged beyond repair.
        public static let dataLoss = Code(.dataLoss)
        /// The caller has not shown who it is.
        public static let unauthenticated = Code(.unauthenticated)
    }
}
