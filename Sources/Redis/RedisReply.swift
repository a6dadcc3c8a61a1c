import CHiredis

/// What Redis answers.
public enum RedisReply: Sendable, Equatable {
    /// There is nothing.
    case null
    /// A number.
    case integer(Int64)
    /// A string, as far as it is UTF-8, or a status.
    case text(String)
    /// Replies in a row.
    case list([RedisReply])
    /// Redis refuses, in these words.
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
