import Messenger
import NIOCore

// The body of POST /sendMessage.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSON(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    limited { check(input(start, count)) }
}

private func check(_ bytes: [UInt8]) {
    switch decode(bytes) {
    case .success(let body):
        expect(error(in: bytes) == nil, "\(body) of what is not JSON")
        expect(decode(written(body)) == .success(body), "\(body) is not read as it is written")
        expect(decode(Array(" \n\t\r".utf8) + withoutMark(bytes)) == .success(body), "white space changes \(body)")
    case .failure(let failure):
        expect(!failure.message.isEmpty, "a refusal without a sentence")
        expect(failure.message.utf8.count < 200, "a refusal that goes on: \(failure.message)")
        expect(failure.message.unicodeScalars.allSatisfy(\.isASCII), "a refusal that repeats input: \(failure.message)")
    }
    // As a value that nobody asked for, and as one in an array.
    if let error = error(in: bytes) {
        expect((0...bytes.count).contains(error.offset), "an error beyond the end")
    } else {
        let nested = error(in: Array("[".utf8) + withoutMark(bytes) + Array("]".utf8))
        expect(nested == nil || nested?.code == .tooDeep, "a value, but not in an array: \(String(describing: nested))")
        let body = Array(#"{"author":"a","more":"#.utf8) + withoutMark(bytes) + Array(#","text":"t"}"#.utf8)
        switch decode(body) {
        case .success(let body): expect(body.author == "a" && body.text == "t", "another key changes \(body)")
        case .failure: expect(nested?.code == .tooDeep, "a value, but not of another key")
        }
    }
}

private func decode(_ bytes: [UInt8]) -> Result<SendMessageBody, InvalidBody> {
    do throws(InvalidBody) { return .success(try SendMessageBody(json: bytes)) } catch { return .failure(error) }
}

/// Why the bytes are no JSON; `nil` if they are.
private func error(in bytes: [UInt8]) -> JSONError? {
    var reader = JSONReader(bytes)
    do throws(JSONError) {
        try reader.skipValue()
        try reader.readEnd()
        return nil
    } catch {
        return error
    }
}

private func withoutMark(_ bytes: [UInt8]) -> [UInt8] {
    bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
}

/// The body as the client writes JSON.
private func written(_ body: SendMessageBody) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.writeStaticString(#"{"author":"#)
    buffer.writeJSON(body.author)
    buffer.writeStaticString(#","text":"#)
    buffer.writeJSON(body.text)
    buffer.writeStaticString("}")
    return buffer.bytes
}
