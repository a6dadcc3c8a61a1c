import Messenger
import NIOCore

// The body of POST /sendMessage.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSON(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    withTimeLimit { check(input(start, count)) }
}

private func check(_ bytes: [UInt8]) {
    switch decode(bytes) {
    case .success(let body):
        expect(error(in: bytes) == nil, "\(body) from invalid JSON")
        expect(decode(written(body)) == .success(body), "\(body) changes when it is written and read")
        expect(decode(Array(" \n\t\r".utf8) + withoutMark(bytes)) == .success(body), "white space changes \(body)")
    case .failure(let failure):
        expect(!failure.message.isEmpty, "an error without a message")
        expect(failure.message.utf8.count < 200, "a long error: \(failure.message)")
        expect(failure.message.unicodeScalars.allSatisfy(\.isASCII), "an error that repeats input: \(failure.message)")
    }
    // The same bytes as an element of an array, and as the value of an unknown key.
    if let error = error(in: bytes) {
        expect((0...bytes.count).contains(error.offset), "an error beyond the end")
    } else {
        let nested = error(in: Array("[".utf8) + withoutMark(bytes) + Array("]".utf8))
        let isValid = nested == nil || nested?.code == .tooDeep
        expect(isValid, "valid alone, but not in an array: \(String(describing: nested))")
        let body = Array(#"{"author":"a","more":"#.utf8) + withoutMark(bytes) + Array(#","text":"t"}"#.utf8)
        switch decode(body) {
        case .success(let body): expect(body.author == "a" && body.text == "t", "an unknown key changes \(body)")
        case .failure: expect(nested?.code == .tooDeep, "valid alone, but not as the value of an unknown key")
        }
    }
}

private func decode(_ bytes: [UInt8]) -> Result<SendMessageBody, InvalidBody> {
    do throws(InvalidBody) { return .success(try SendMessageBody(json: bytes)) } catch { return .failure(error) }
}

/// Why the bytes are not JSON; `nil` if they are.
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

/// The body as JSON, as the client writes it.
private func written(_ body: SendMessageBody) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.writeStaticString(#"{"author":"#)
    buffer.writeJSON(body.author)
    buffer.writeStaticString(#","text":"#)
    buffer.writeJSON(body.text)
    buffer.writeStaticString("}")
    return buffer.bytes
}
