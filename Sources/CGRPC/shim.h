// What of gRPC's C core Swift cannot import by itself: macros, C unions filled in one go, and the tag that serves both
// kinds of completion queue. Everything else is used as the headers below declare it.
#pragma once

// First of all, before gRPC's headers define _GNU_SOURCE: the C library's types must be those that Swift knows.
#include <features.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/string_util.h>
#include <grpc/support/sync.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

// ThreadSanitizer does not see the order that the core gives to what is handed to it and what comes back, because the core
// is built without it. These tell it. Without the sanitizer there are no such functions.
void __tsan_release(void *address) __attribute__((weak));
void __tsan_acquire(void *address) __attribute__((weak));

static inline void cgrpc_handed_over(void *address) {
    if (__tsan_release) __tsan_release(address);
}

static inline void cgrpc_taken_over(void *address) {
    if (__tsan_acquire) __tsan_acquire(address);
}

// A tag: where the event of one started operation goes. The functor comes first, so the tag's address is what a NEXT
// queue hands back and also what a callback queue calls.
typedef struct cgrpc_tag {
    grpc_completion_queue_functor functor;
    void *target;        // the Swift object that the event is for, retained while the operation is in flight
    uint32_t operation;  // which of the target's operations
} cgrpc_tag;

static inline void cgrpc_tag_init(cgrpc_tag *tag, uint32_t operation,
                                  void (*run)(grpc_completion_queue_functor *, int)) {
    memset(tag, 0, sizeof *tag);
    tag->functor.functor_run = run;
    tag->functor.inlineable = 1;
    tag->operation = operation;
}

// Everything that the operations of one call point to. It belongs to the Swift object that stands for the call, which is
// retained by each operation in flight.
typedef struct cgrpc_call_storage {
    cgrpc_tag tags[5];
    grpc_call *call;
    grpc_byte_buffer *sent_message;
    grpc_byte_buffer *received_message;
    grpc_metadata_array received_initial_metadata;
    grpc_metadata_array received_trailing_metadata;
    grpc_slice status_details;
    grpc_status_code status;
    int cancelled;
    gpr_timespec deadline;
} cgrpc_call_storage;

static inline void cgrpc_call_storage_init(cgrpc_call_storage *storage,
                                           void (*run)(grpc_completion_queue_functor *, int)) {
    memset(storage, 0, sizeof *storage);
    const uint32_t count = sizeof storage->tags / sizeof storage->tags[0];
    for (uint32_t operation = 0; operation < count; operation++) {
        cgrpc_tag_init(&storage->tags[operation], operation, run);
    }
    storage->status_details = grpc_empty_slice();
}

static inline cgrpc_tag *cgrpc_call_storage_tag(cgrpc_call_storage *storage, uint32_t operation) {
    return &storage->tags[operation];
}

// Fills the message that is to be sent. The start of a batch takes what the byte buffer held, so it serves each message.
static inline void cgrpc_call_storage_set_message(cgrpc_call_storage *storage, grpc_slice slice) {
    if (storage->sent_message == NULL) storage->sent_message = grpc_raw_byte_buffer_create(NULL, 0);
    grpc_slice_buffer *slices = &storage->sent_message->data.raw.slice_buffer;
    grpc_slice_buffer_reset_and_unref(slices);
    grpc_slice_buffer_add(slices, grpc_slice_ref(slice));
}

// The operations of one batch, at most one of a kind.
typedef struct cgrpc_batch {
    size_t count;
    grpc_op ops[6];
} cgrpc_batch;

// An empty batch. Its operations are not initialized: clearing them would take longer than adding one.
static inline cgrpc_batch cgrpc_batch_empty(void) {
    cgrpc_batch batch;
    batch.count = 0;
    return batch;
}

static inline grpc_op *cgrpc_batch_next(cgrpc_batch *batch, grpc_op_type type, uint32_t flags) {
    grpc_op *op = &batch->ops[batch->count++];
    op->op = type;
    op->flags = flags;
    op->reserved = NULL;
    return op;
}

static inline void cgrpc_batch_send_initial_metadata(cgrpc_batch *batch, grpc_metadata *metadata, size_t count,
                                                     uint32_t flags) {
    grpc_op *op = cgrpc_batch_next(batch, GRPC_OP_SEND_INITIAL_METADATA, flags);
    op->data.send_initial_metadata.count = count;
    op->data.send_initial_metadata.metadata = metadata;
    op->data.send_initial_metadata.maybe_compression_level.is_set = 0;
}

static inline void cgrpc_batch_send_message(cgrpc_batch *batch, cgrpc_call_storage *storage, uint32_t flags) {
    cgrpc_batch_next(batch, GRPC_OP_SEND_MESSAGE, flags)->data.send_message.send_message = storage->sent_message;
}

static inline void cgrpc_batch_send_close_from_client(cgrpc_batch *batch) {
    cgrpc_batch_next(batch, GRPC_OP_SEND_CLOSE_FROM_CLIENT, 0);
}

static inline void cgrpc_batch_send_status_from_server(cgrpc_batch *batch, cgrpc_call_storage *storage,
                                                       grpc_metadata *metadata, size_t count) {
    grpc_op *op = cgrpc_batch_next(batch, GRPC_OP_SEND_STATUS_FROM_SERVER, 0);
    op->data.send_status_from_server.status = storage->status;
    op->data.send_status_from_server.status_details = &storage->status_details;
    op->data.send_status_from_server.trailing_metadata = metadata;
    op->data.send_status_from_server.trailing_metadata_count = count;
}

static inline void cgrpc_batch_recv_initial_metadata(cgrpc_batch *batch, cgrpc_call_storage *storage) {
    cgrpc_batch_next(batch, GRPC_OP_RECV_INITIAL_METADATA, 0)->data.recv_initial_metadata.recv_initial_metadata =
        &storage->received_initial_metadata;
}

static inline void cgrpc_batch_recv_message(cgrpc_batch *batch, cgrpc_call_storage *storage) {
    cgrpc_batch_next(batch, GRPC_OP_RECV_MESSAGE, 0)->data.recv_message.recv_message = &storage->received_message;
}

static inline void cgrpc_batch_recv_status_on_client(cgrpc_batch *batch, cgrpc_call_storage *storage) {
    grpc_op *op = cgrpc_batch_next(batch, GRPC_OP_RECV_STATUS_ON_CLIENT, 0);
    op->data.recv_status_on_client.status = &storage->status;
    op->data.recv_status_on_client.status_details = &storage->status_details;
    op->data.recv_status_on_client.trailing_metadata = &storage->received_trailing_metadata;
    op->data.recv_status_on_client.error_string = NULL;
}

static inline void cgrpc_batch_recv_close_on_server(cgrpc_batch *batch, cgrpc_call_storage *storage) {
    cgrpc_batch_next(batch, GRPC_OP_RECV_CLOSE_ON_SERVER, 0)->data.recv_close_on_server.cancelled =
        &storage->cancelled;
}

static inline grpc_call_error cgrpc_batch_start(cgrpc_batch *batch, grpc_call *call, cgrpc_tag *tag) {
    cgrpc_handed_over(tag);
    return grpc_call_start_batch(call, batch->ops, batch->count, tag, NULL);
}

static inline const uint8_t *cgrpc_slice_bytes(const grpc_slice *slice) { return GRPC_SLICE_START_PTR(*slice); }
static inline size_t cgrpc_slice_length(const grpc_slice *slice) { return GRPC_SLICE_LENGTH(*slice); }

// Turns a received byte buffer into one slice, without a copy where it is one already, and destroys the buffer. A message
// that was compressed has been expanded by then: the core has a filter for that.
static inline grpc_slice cgrpc_byte_buffer_take_slice(grpc_byte_buffer *buffer) {
    grpc_slice slice;
    if (buffer->data.raw.slice_buffer.count == 1) {
        slice = grpc_slice_ref(buffer->data.raw.slice_buffer.slices[0]);
    } else {
        // Cannot fail: the buffer is a raw one.
        grpc_byte_buffer_reader reader;
        grpc_byte_buffer_reader_init(&reader, buffer);
        slice = grpc_byte_buffer_reader_readall(&reader);
        grpc_byte_buffer_reader_destroy(&reader);
    }
    grpc_byte_buffer_destroy(buffer);
    return slice;
}

// Waits for a call of a registered method, bound to `call_queue` and announced on `queue` when its headers have come.
static inline grpc_call_error cgrpc_request_registered_call(grpc_server *server, void *method,
                                                            cgrpc_call_storage *storage,
                                                            grpc_completion_queue *call_queue,
                                                            grpc_completion_queue *queue, cgrpc_tag *tag) {
    cgrpc_handed_over(tag);
    return grpc_server_request_registered_call(server, method, &storage->call, &storage->deadline,
                                               &storage->received_initial_metadata, NULL, call_queue, queue, tag);
}

// Waits for a call of any method that is not registered.
static inline grpc_call_error cgrpc_request_call(grpc_server *server, grpc_call_details *details,
                                                 cgrpc_call_storage *storage, grpc_completion_queue *call_queue,
                                                 grpc_completion_queue *queue, cgrpc_tag *tag) {
    cgrpc_handed_over(tag);
    return grpc_server_request_call(server, &storage->call, details, &storage->received_initial_metadata, call_queue,
                                    queue, tag);
}

// Where the core takes connections that others have accepted, of whatever credentials. gRPC C++ does it like this (its
// ExternalConnectionAcceptor), from libgrpc++ into libgrpc: so it is as stable as the border between the two. What is
// public, grpc_server_add_channel_from_fd, takes connections without encryption only.
//
// An object of C++ with one virtual method, spelt out in C. It belongs to the server, and lives until that is shut down.
typedef struct cgrpc_external_listener {
    const struct {
        void (*destroy)(struct cgrpc_external_listener *);
        void (*destroy_and_free)(struct cgrpc_external_listener *);
        void (*hand_over)(struct cgrpc_external_listener *, int listener, int connection, grpc_byte_buffer *read);
    } *methods;
} cgrpc_external_listener;

static const char *const cgrpc_external_listener_name = "external:connections";

static void *cgrpc_pointer_copy(void *pointer) { return pointer; }
static void cgrpc_pointer_destroy(void *pointer) { (void)pointer; }
static int cgrpc_pointer_compare(void *a, void *b) { return a < b ? -1 : a > b; }

// The argument of a server that can have external listeners: `place` is where the core puts each that is made.
static inline grpc_arg cgrpc_external_listener_argument(cgrpc_external_listener **place) {
    static const grpc_arg_pointer_vtable vtable = {cgrpc_pointer_copy, cgrpc_pointer_destroy, cgrpc_pointer_compare};
    grpc_arg argument = {.type = GRPC_ARG_POINTER, .key = (char *)cgrpc_external_listener_name};
    argument.value.pointer.p = place;
    argument.value.pointer.vtable = &vtable;
    return argument;
}

// A listener for connections with these credentials, before the server starts; NULL if the credentials are no good.
static inline cgrpc_external_listener *cgrpc_server_add_external_listener(grpc_server *server,
                                                                          cgrpc_external_listener **place,
                                                                          grpc_server_credentials *credentials) {
    *place = NULL;
    grpc_server_add_http2_port(server, cgrpc_external_listener_name, credentials);
    return *place;
}

// Hands a connected socket over, which the core closes. The server must have been started, and not be shut down.
static inline void cgrpc_external_listener_hand_over(cgrpc_external_listener *external, int listener, int connection) {
    external->methods->hand_over(external, listener, connection, NULL);
}

// What a call inherits from a server's call that it belongs to: the deadline and the cancellation, of what there is.
static const uint32_t cgrpc_propagate_all = GRPC_PROPAGATE_DEFAULTS;

// For the core's own diagnostics.
static const char *const cgrpc_call_credentials_type = "LibGRPC";

static inline void cgrpc_log_error(const char *file, int line, const char *message) {
    gpr_log_message(file, line, GPR_LOG_SEVERITY_ERROR, message);
}

// The C library declares it only with _GNU_SOURCE.
extern int accept4(int listener, struct sockaddr *peer, socklen_t *size, int flags);

// A descriptor that becomes readable once it is signalled; -1 if there is none left.
static inline int cgrpc_signal_create(void) { return eventfd(0, EFD_CLOEXEC); }
static inline void cgrpc_signal_send(int descriptor) { eventfd_write(descriptor, 1); }

// The core's hook for the sockets of a channel. Its headers only name the type, which C++'s ChannelArguments takes too:
// the two structures are the core's own, as of its version 1.51. Another core has to be looked at for them.
typedef struct grpc_socket_mutator_vtable {
    bool (*mutate)(int descriptor, grpc_socket_mutator *mutator);
    int (*compare)(grpc_socket_mutator *one, grpc_socket_mutator *other);
    void (*destroy)(grpc_socket_mutator *mutator);
    bool (*mutate_by_usage)(const void *usage, grpc_socket_mutator *mutator);
} grpc_socket_mutator_vtable;

struct grpc_socket_mutator {
    const grpc_socket_mutator_vtable *vtable;
    gpr_refcount references;
};

// Tells a Swift object of each socket that a channel is about to connect.
typedef struct cgrpc_socket_watch {
    grpc_socket_mutator mutator;
    void *target;  // retained until the core needs it no longer
    void (*made)(void *target, int descriptor);
    void (*release)(void *target);
} cgrpc_socket_watch;

static inline bool cgrpc_socket_watch_made(int descriptor, grpc_socket_mutator *mutator) {
    cgrpc_socket_watch *watch = (cgrpc_socket_watch *)mutator;
    cgrpc_taken_over(watch);
    watch->made(watch->target, descriptor);
    return true;
}

static inline int cgrpc_socket_watch_compare(grpc_socket_mutator *one, grpc_socket_mutator *other) {
    return one < other ? -1 : one > other;
}

static inline void cgrpc_socket_watch_destroy(grpc_socket_mutator *mutator) {
    cgrpc_socket_watch *watch = (cgrpc_socket_watch *)mutator;
    watch->release(watch->target);
    gpr_free(watch);
}

static const grpc_socket_mutator_vtable cgrpc_socket_watch_vtable = {
    cgrpc_socket_watch_made, cgrpc_socket_watch_compare, cgrpc_socket_watch_destroy, NULL};

static inline void *cgrpc_socket_watch_reference(void *watch) {
    gpr_ref(&((cgrpc_socket_watch *)watch)->mutator.references);
    return watch;
}

static inline void cgrpc_socket_watch_unreference(void *watch) {
    if (gpr_unref(&((cgrpc_socket_watch *)watch)->mutator.references)) {
        cgrpc_socket_watch_destroy((grpc_socket_mutator *)watch);
    }
}

static inline int cgrpc_socket_watch_compare_argument(void *one, void *other) {
    return cgrpc_socket_watch_compare((grpc_socket_mutator *)one, (grpc_socket_mutator *)other);
}

static const grpc_arg_pointer_vtable cgrpc_socket_watch_argument_vtable = {
    cgrpc_socket_watch_reference, cgrpc_socket_watch_unreference, cgrpc_socket_watch_compare_argument};

// With one reference, which is the caller's.
static inline cgrpc_socket_watch *cgrpc_socket_watch_create(void *target, void (*made)(void *, int),
                                                            void (*release)(void *)) {
    cgrpc_socket_watch *watch = (cgrpc_socket_watch *)gpr_malloc(sizeof *watch);
    watch->mutator.vtable = &cgrpc_socket_watch_vtable;
    gpr_ref_init(&watch->mutator.references, 1);
    watch->target = target;
    watch->made = made;
    watch->release = release;
    cgrpc_handed_over(watch);
    return watch;
}

static inline const grpc_arg_pointer_vtable *cgrpc_socket_watch_arguments(void) {
    return &cgrpc_socket_watch_argument_vtable;
}

// Names the calling thread, for debuggers and top.
static inline void cgrpc_set_thread_name(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

// Declared in <unistd.h>, most of which Swift would no longer find in Glibc if it were included here.
extern long syscall(long number, ...);
extern ssize_t read(int descriptor, void *buffer, size_t count);

// The signal of the timers below. Only threads that have blocked it get it.
static inline int cgrpc_timer_signal(void) { return SIGRTMAX - 2; }

// A descriptor that becomes readable on the calling thread when one of the thread's timers expires; -1 if there is none
// left. Call it before cgrpc_timer_start.
static inline int cgrpc_timers_open(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, cgrpc_timer_signal());
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Makes a timer for the calling thread: it expires each time that `thread` has used so much processor time.
static inline bool cgrpc_timer_start(timer_t *timer, pthread_t thread, uint64_t milliseconds, int value) {
    clockid_t clock;
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    event.sigev_signo = cgrpc_timer_signal();
    event.sigev_value.sival_int = value;
    if (pthread_getcpuclockid(thread, &clock) != 0 || timer_create(clock, &event, timer) != 0) return false;
    struct timespec step = {.tv_sec = (time_t)(milliseconds / 1000), .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    struct itimerspec times = {.it_interval = step, .it_value = step};
    return timer_settime(*timer, 0, &times, NULL) == 0;
}

// The value of the next timer that has expired; -1 if there is none.
static inline int cgrpc_timers_next(int descriptor) {
    struct signalfd_siginfo expired;
    return read(descriptor, &expired, sizeof expired) == sizeof expired ? expired.ssi_int : -1;
}

// What the system has received on a socket and nobody has read.
static inline int cgrpc_unread_bytes(int descriptor) {
    int count = 0;
    return ioctl(descriptor, FIONREAD, &count) == 0 ? count : 0;
}

// Drops what the system has received on a socket and nobody has read.
static inline void cgrpc_drop_unread_bytes(int descriptor) {
    while (recv(descriptor, NULL, 1 << 24, MSG_TRUNC | MSG_DONTWAIT) > 0) continue;
}
