import GRPC

/// The body of `POST /sendMessage`: a JSON object with the strings `author` and `text`.
///
/// Other keys are ignored. A key that is given twice is refused: which of the two was meant is anybody's guess.
struct SendMessageBody: Equatable {
    let author: String
    let text: String

    static func == (left: Self, right: Self) -> Bool {
        left.author.hasBytes(of: right.author) && left.text.hasBytes(of: right.text)
    }

    /// Decodes a body.
    ///
    /// - Throws: ``HTTPFailure`` with the status 400 and a sentence that says what is wrong.
    init(json bytes: [UInt8]) throws(HTTPFailure) {
        var reader = JSONReader(bytes)
        guard reader.peek() == "{" else {
            throw .badRequest("The body must be a JSON object with the strings \"author\" and \"text\".")
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
            throw .badRequest(error.sentence)
        }
        self.author = try author.value(of: "author")
        self.text = try text.value(of: "text")
    }
}

extension SendMessageBody {
    /// What was found under a key. Wrong values are complained of only once the whole body has proved to be JSON.
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

        func value(of key: String) throws(HTTPFailure) -> String {
            switch self {
            case .string(let value): return value
            case .missing: throw .badRequest("The body has no \"\(key)\".")
            case .ofOtherType: throw .badRequest("\"\(key)\" must be a string.")
            case .repeated: throw .badRequest("The body has more than one \"\(key)\".")
            }
        }
    }
}
