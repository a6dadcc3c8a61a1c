internal import CGRPC

/// Ends the wait of the thread that polls a completion queue, from any thread.
///
/// An empty batch completes at once. It needs a call that is bound to the queue; a call on a lame channel serves, for it
/// is never sent anywhere.
struct Wakeup {
    private let channel: OpaquePointer
    private let call: OpaquePointer

    init(_ queue: OpaquePointer) {
        // None of these is ever NULL: they allocate and abort on failure.
        channel = grpc_lame_client_channel_create(nil, GRPC_STATUS_UNAVAILABLE, "wake-up")
        call = grpc_channel_create_call(
            channel,
            nil,
            0,
            queue,
            grpc_slice_from_static_string("/"),
            nil,
            gpr_inf_future(GPR_CLOCK_MONOTONIC),
            nil
        )
    }

    /// Puts an event with a null tag into the queue. The queue must not have been shut down, and the event of the
    /// wake-up before must have been taken.
    func start() {
        let error = grpc_call_start_batch(call, nil, 0, nil, nil)
        assert(error == GRPC_CALL_OK, "an empty batch is always accepted")
    }

    func destroy() {
        grpc_call_unref(call)
        grpc_channel_destroy(channel)
    }
}
