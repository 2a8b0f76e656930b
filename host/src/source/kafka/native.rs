//! The few calls of librdkafka that its Rust binding lacks: one queue for all partitions, drained
//! many messages a call; commits with a deadline; a topic's id. All `unsafe` of this room is here.

mod reply;

use std::ffi::CString;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;

pub(super) use self::reply::{Commit, TopicId};
use super::group::Consumer;
use crate::message::NO_TIMESTAMP;

/// The most messages of one call: enough to make the call's own cost vanish.
const DRAIN_MAX: usize = 4096;

/// The queue into which all partitions of a consumer flow.
pub(super) struct Inbox {
    queue: NonNull<rd::rd_kafka_queue_t>,
    /// Taken from the queue and not handed out yet: `taken[next..]`.
    taken: Vec<*mut rd::rd_kafka_message_t>,
    next: usize,
    /// Last, so that the queue and its messages go before their client.
    consumer: Arc<Consumer>,
}

// SAFETY: librdkafka's objects may be used from any thread, one at a time for a queue's messages;
// `&mut self` sees to that.
unsafe impl Send for Inbox {}

impl Inbox {
    pub(super) fn new(consumer: Arc<Consumer>) -> Self {
        // SAFETY: the client is alive, and stays so as long as `consumer` is held.
        let queue = unsafe { rd::rd_kafka_queue_new(consumer.client().native_ptr()) };
        Self {
            queue: NonNull::new(queue).expect("librdkafka aborts when it has no memory"),
            taken: Vec::with_capacity(DRAIN_MAX),
            next: 0,
            consumer,
        }
    }

    pub(super) fn consumer(&self) -> &Arc<Consumer> {
        &self.consumer
    }

    /// The offset after a partition's last message, as the last fetch told it; no question asked.
    pub(super) fn known_end(&self, topic: &str, partition: i32) -> Option<i64> {
        let topic = CString::new(topic).expect("a subscribed topic's name has no NUL");
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is alive, and what the pointers refer to outlives the call.
        let code = unsafe {
            let client = self.consumer.client().native_ptr();
            rd::rd_kafka_get_watermark_offsets(
                client,
                topic.as_ptr(),
                partition,
                &raw mut low,
                &raw mut high,
            )
        };
        check(code).ok().and((high >= 0).then_some(high))
    }

    /// Lets a partition flow into this queue. To be called before each time it is assigned, because
    /// unassigning undoes it.
    pub(super) fn forward(&self, topic: &str, partition: i32) {
        let topic = CString::new(topic).expect("a subscribed topic's name has no NUL");
        // SAFETY: the client is alive; the partition's queue is referred to between the first and
        // the last call only, and forwarding takes its own reference of ours.
        unsafe {
            let client = self.consumer.client().native_ptr();
            let queue = rd::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            assert!(!queue.is_null(), "librdkafka makes unknown partitions");
            rd::rd_kafka_queue_forward(queue, self.queue.as_ptr());
            rd::rd_kafka_queue_destroy(queue);
        }
    }

    /// Fills itself when it is empty, waiting at most `wait` for the first message. Whether there is
    /// something to hand out.
    pub(super) fn fill(&mut self, max: usize, wait: Duration) -> bool {
        if self.next < self.taken.len() {
            return true;
        }
        self.next = 0;
        self.taken.clear();
        let max = max.min(DRAIN_MAX);
        if self.drain(max, Duration::ZERO) == 0 && !wait.is_zero() && self.drain(1, wait) == 1 {
            // A call with a time-out waits for as many as it may take: so it was one, and the rest
            // without waiting.
            self.drain(max - 1, Duration::ZERO);
        }
        !self.taken.is_empty()
    }

    fn drain(&mut self, max: usize, wait: Duration) -> usize {
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        let free = self.taken.spare_capacity_mut();
        let max = max.min(free.len());
        // SAFETY: the queue is ours and alive; at most `max` pointers are written, into free room of
        // that size, and each is to a message that we own from then on.
        let count = unsafe {
            rd::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                wait,
                free.as_mut_ptr().cast(),
                max,
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: so many were written just now.
        unsafe { self.taken.set_len(self.taken.len() + count) };
        count
    }

    /// The next message, if there is one; it lives until the next call.
    pub(super) fn peek(&self) -> Option<Received<'_>> {
        let message = *self.taken.get(self.next)?;
        // SAFETY: what was taken and not handed out is alive and ours; the borrow of `self` keeps it
        // from being destroyed.
        Some(Received {
            message: unsafe { &*message },
            bytes: PhantomData,
        })
    }

    /// Gives the message that [`Inbox::peek`] shows back to librdkafka.
    pub(super) fn advance(&mut self) {
        if let Some(&message) = self.taken.get(self.next) {
            self.next += 1;
            // SAFETY: it was alive and ours, and `next` has passed it: nothing refers to it any more.
            unsafe { rd::rd_kafka_message_destroy(message) };
        }
    }

    /// Forgets what was taken of a partition that is not ours any more.
    pub(super) fn discard(&mut self, partition: i32) {
        let rest = self.taken.split_off(self.next);
        self.taken.clear();
        self.next = 0;
        for message in rest {
            // SAFETY: as in `peek`: alive and ours; and in `advance`: dropped from the list.
            unsafe {
                if (*message).partition == partition {
                    rd::rd_kafka_message_destroy(message);
                } else {
                    self.taken.push(message);
                }
            }
        }
        self.taken
            .reserve(DRAIN_MAX.saturating_sub(self.taken.len()));
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        while self.next < self.taken.len() {
            self.advance();
        }
        // SAFETY: the queue is ours, and its client is still alive.
        unsafe { rd::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

/// A message that librdkafka still owns the bytes of, or an error in its place.
pub(super) struct Received<'a> {
    message: &'a rd::rd_kafka_message_t,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> Received<'a> {
    pub(super) fn partition(&self) -> i32 {
        self.message.partition
    }

    pub(super) fn offset(&self) -> i64 {
        self.message.offset
    }

    pub(super) fn error(&self) -> Option<RDKafkaErrorCode> {
        let code = self.message.err;
        (code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| code.into())
    }

    pub(super) fn timestamp(&self) -> i64 {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive, and `kind` outlives the call.
        let time = unsafe { rd::rd_kafka_message_timestamp(self.message, &raw mut kind) };
        if kind == rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE {
            NO_TIMESTAMP
        } else {
            time
        }
    }

    pub(super) fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: librdkafka's pair of key and length, alive as long as the message.
        unsafe { bytes(self.message.key.cast(), self.message.key_len) }
    }

    pub(super) fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: librdkafka's pair of value and length, alive as long as the message.
        unsafe { bytes(self.message.payload.cast(), self.message.len) }
    }

    /// Packs its headers as `message::Message::headers` wants them; nothing when there are none.
    pub(super) fn pack_headers(&self, packed: &mut Vec<u8>) {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive; the headers stay its own.
        let code = unsafe { rd::rd_kafka_message_headers(self.message, &raw mut headers) };
        if code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return;
        }
        // SAFETY: these headers are alive as long as the message.
        let count = unsafe { rd::rd_kafka_header_cnt(headers) };
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        packed.extend_from_slice(&count.to_be_bytes());
        for index in 0..usize::from(count) {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: as above; the index is below their count, so all three are set, the name to a
            // C string and the value to `size` bytes or null.
            let (name, value) = unsafe {
                rd::rd_kafka_header_get_all(
                    headers,
                    index,
                    &raw mut name,
                    &raw mut value,
                    &raw mut size,
                );
                let name = std::ffi::CStr::from_ptr(name).to_bytes();
                (name, bytes(value.cast(), size))
            };
            crate::row::push_cell(packed, Some(name));
            crate::row::push_cell(packed, value);
        }
    }
}

/// Our id among the group's members.
pub(super) fn member(consumer: &Consumer) -> String {
    // SAFETY: the client is alive. The text is ours until it is given back; null = no member yet.
    unsafe {
        let client = consumer.client().native_ptr();
        let text = rd::rd_kafka_memberid(client);
        if text.is_null() {
            return String::new();
        }
        let member = std::ffi::CStr::from_ptr(text)
            .to_string_lossy()
            .into_owned();
        rd::rd_kafka_mem_free(client, text.cast());
        member
    }
}

/// # Safety
/// `start` is null, or `length` bytes are readable there for `'a`.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, length) })
}

/// How many events wait for their hooks.
#[cfg(test)]
pub(super) fn events(consumer: &Consumer) -> usize {
    // SAFETY: the client is alive, and the reference to its queue is given back.
    unsafe {
        let queue = rd::rd_kafka_queue_get_consumer(consumer.client().native_ptr());
        let count = rd::rd_kafka_queue_length(queue);
        rd::rd_kafka_queue_destroy(queue);
        count
    }
}

fn check(code: rd::rd_kafka_resp_err_t) -> Result<(), RDKafkaErrorCode> {
    if code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        Ok(())
    } else {
        Err(code.into())
    }
}

/// The partitions of a list with their offset, if any, and metadata; the binding's own accessor
/// panics on metadata that is not UTF-8.
pub(super) fn metadata(list: &TopicPartitionList) -> Vec<(i32, Option<i64>, Vec<u8>)> {
    // SAFETY: the list is borrowed, so its elements and their metadata stay as they are.
    let elements = unsafe {
        let list = &*list.ptr();
        let count = usize::try_from(list.cnt).expect("a count is not negative");
        if count == 0 {
            return Vec::new();
        }
        slice::from_raw_parts(list.elems, count)
    };
    elements
        .iter()
        .map(|element| {
            // SAFETY: as above.
            let metadata = unsafe { bytes(element.metadata.cast(), element.metadata_size) };
            let offset = (element.offset >= 0).then_some(element.offset);
            (
                element.partition,
                offset,
                metadata.unwrap_or_default().to_vec(),
            )
        })
        .collect()
}
