import HTTPTypes
import Hummingbird

extension Response {
    /// A JSON answer to a request with the given method: for `HEAD` the header fields are those of the body, which is
    /// left out.
    static func json(
        _ body: ByteBuffer,
        status: HTTPResponse.Status = .ok,
        headers: HTTPFields = [:],
        to method: HTTPRequest.Method
    ) -> Response {
        var headers = headers
        headers[.contentType] = "application/json"
        headers[.contentLength] = String(body.readableBytes)
        return Response(
            status: status,
            headers: headers,
            body: method == .head ? ResponseBody() : ResponseBody(byteBuffer: body)
        )
    }
}
