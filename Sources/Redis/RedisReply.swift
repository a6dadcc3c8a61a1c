import CHiredis

/// A reply from Redis.
public enum RedisReply: Sendable, Equatable {
    /// No value.
    case null
    /// A number.
    case integer(Int64)
    /// A string or a status. Invalid UTF-8 is repaired.
    case text(String)
    /// An array of replies.
    case list([RedisReply])
    /// An error, with Redis's message.
    case error(String)

    /// The text, if it is one.
    public var text: String? { if case .text(let text) = self { text } else { nil } }
    /// The number, if it is one.
    public var integer: Int64? { if case .integer(let integer) = self { integer } else { nil } }
    /// The replies, if it is a list.
    public var list: [RedisReply]? { if case .list(let list) = self { list } else { nil } }
}

extension RedisReply {
    init(_ reply: redisReply) {
        switch reply.type {
        case REDIS_REPLY_INTEGER: self = .integer(reply.integer)
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS: self = .text(Self.text(reply))
        case REDIS_REPLY_ERROR: self = .error(Self.text(reply))
        case REDIS_REPLY_ARRAY:
            let elements = UnsafeBufferPointer(start: reply.element, count: reply.elements)
            self = .list(elements.map { element in element.map { RedisReply($0.pointee) } ?? .null })
        default: self = .null
        }
    }

    private static func text(_ reply: redisReply) -> String {
        String(decoding: UnsafeRawBufferPointer(start: reply.str, count: reply.len), as: UTF8.self)
    }
}

/// A connection to Redis has failed, or Redis has replied with an error.
public struct RedisError: Error, CustomStringConvertible {
    /// Redis's message or the system's. It never quotes a command, which may contain a password or a user's text.
    public let description: String

    /// An error with a description of its own.
    public init(description: String) {
        self.description = description
    }

    /// An error that Redis replied with.
    ///
    /// - Parameter message: It begins with a code such as `NOPERM`.
    public init(serverError message: String) {
        // "ERR unknown command 'AUTH', with args beginning with: 'user' 'password'"
        let end = message.firstRange(of: ", with args")?.lowerBound ?? message.endIndex
        description = String(message[..<end].prefix(300))
    }

    /// The first word: the code, if it is an error from Redis.
    public var code: Substring { description.prefix { $0 != " " } }
}
