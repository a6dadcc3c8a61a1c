import LibGRPC

/// The body of `POST /sendMessage`: a JSON object with the strings `author` and `text`.
///
/// Other keys are ignored. A key that occurs twice is refused: nobody can tell which one was meant.
struct SendMessageBody: Equatable {
    let author: String
    let text: String

    static func == (left: Self, right: Self) -> Bool {
        left.author.hasBytes(of: right.author) && left.text.hasBytes(of: right.text)
    }

    /// Decodes a body.
    init(json bytes: [UInt8]) throws(InvalidBody) {
        var reader = JSONReader(bytes)
        guard reader.peek() == "{" else {
            throw InvalidBody(message: "The body must be a JSON object with the strings \"author\" and \"text\".")
        }
        var author = Member.missing
        var text = Member.missing
        do throws(JSONError) {
            var key = try reader.readFirstKey()
            while let name = key {
                if name.hasBytes(of: "author") {
                    try author.read(from: &reader)
                } else if name.hasBytes(of: "text") {
                    try text.read(from: &reader)
                } else {
                    try reader.skipValue()
                }
                key = try reader.readNextKey()
            }
            try reader.readEnd()
        } catch {
            throw InvalidBody(message: error.sentence)
        }
        self.author = try author.value(of: "author")
        self.text = try text.value(of: "text")
    }
}

extension SendMessageBody {
    /// What was found under a key. A wrong value is reported after the whole body has turned out to be JSON.
    private enum Member {
        case missing, ofOtherType, repeated
        case string(String)

        mutating func read(from reader: inout JSONReader) throws(JSONError) {
            let found: Member
            if reader.peek() == "\"" {
                found = .string(try reader.readString())
            } else {
                try reader.skipValue()
                found = .ofOtherType
            }
            if case .missing = self { self = found } else { self = .repeated }
        }

        func value(of key: String) throws(InvalidBody) -> String {
            switch self {
            case .string(let value): return value
            case .missing: throw InvalidBody(message: "The body has no \"\(key)\".")
            case .ofOtherType: throw InvalidBody(message: "\"\(key)\" must be a string.")
            case .repeated: throw InvalidBody(message: "The body has more than one \"\(key)\".")
            }
        }
    }
}

/// Why a body is refused.
struct InvalidBody: Error, Equatable {
    /// One sentence for whoever sent the body.
    var message: String
}
