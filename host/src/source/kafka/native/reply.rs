//! Questions that librdkafka answers into a queue, so that each has a deadline of its own.

use std::ffi::CString;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::slice;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::check;

/// Where one answer is waited for. `H` keeps the client alive meanwhile.
struct Reply<H> {
    queue: NonNull<rd::rd_kafka_queue_t>,
    consumer: H,
}

// SAFETY: librdkafka's queues may be used from any thread; the answer is taken by whoever holds it.
unsafe impl<H: Send> Send for Reply<H> {}

impl<C: ConsumerContext, H: Deref<Target = BaseConsumer<C>>> Reply<H> {
    fn new(consumer: H) -> Self {
        // SAFETY: the client is alive as long as `consumer` is held, and the queue is destroyed before.
        let queue = unsafe { rd::rd_kafka_queue_new(consumer.client().native_ptr()) };
        Self {
            queue: NonNull::new(queue).expect("librdkafka aborts when it has no memory"),
            consumer,
        }
    }

    fn client(&self) -> *mut rd::rd_kafka_t {
        self.consumer.client().native_ptr()
    }

    /// Waits at most `wait` for the answer; `None` = it has not come.
    fn wait(&self, wait: Duration) -> Option<Answer> {
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive.
        let event = unsafe { rd::rd_kafka_queue_poll(self.queue.as_ptr(), wait) };
        NonNull::new(event).map(Answer)
    }
}

impl<H> Drop for Reply<H> {
    fn drop(&mut self) {
        // SAFETY: the queue is ours, and its client is dropped after it. An answer that comes later
        // is thrown away by librdkafka.
        unsafe { rd::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

/// An answer that came.
struct Answer(NonNull<rd::rd_kafka_event_t>);

impl Answer {
    fn event(&self) -> *mut rd::rd_kafka_event_t {
        self.0.as_ptr()
    }

    /// Whether the question as a whole was answered.
    fn check(&self) -> Result<(), RDKafkaErrorCode> {
        // SAFETY: the event is alive.
        check(unsafe { rd::rd_kafka_event_error(self.event()) })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: the event is ours, and nothing refers to it any more.
        unsafe { rd::rd_kafka_event_destroy(self.event()) };
    }
}

/// A commit on its way to the group's coordinator.
pub(in crate::source::kafka) struct Commit<H>(Reply<H>);

impl<C: ConsumerContext, H: Deref<Target = BaseConsumer<C>>> Commit<H> {
    /// Sends offsets and their metadata.
    pub(in crate::source::kafka) fn send(
        consumer: H,
        offsets: &TopicPartitionList,
    ) -> Result<Self, RDKafkaErrorCode> {
        let reply = Reply::new(consumer);
        // SAFETY: client and queue are alive. The offsets are copied. Without a callback the answer
        // comes as an event.
        let code = unsafe {
            let (queue, offsets) = (reply.queue.as_ptr(), offsets.ptr());
            rd::rd_kafka_commit_queue(reply.client(), offsets, queue, None, ptr::null_mut())
        };
        check(code).map(|()| Self(reply))
    }

    /// Waits at most `wait` for the answer; `None` = it has not come.
    pub(in crate::source::kafka) fn poll(
        &self,
        wait: Duration,
    ) -> Option<Result<(), RDKafkaErrorCode>> {
        let event = self.0.wait(wait)?;
        let mut answer = event.check();
        // SAFETY: the event is alive, and so is its list.
        unsafe {
            let offsets = rd::rd_kafka_event_topic_partition_list(event.event());
            if !offsets.is_null() && (*offsets).cnt > 0 {
                let count = usize::try_from((*offsets).cnt).expect("a count is not negative");
                for partition in slice::from_raw_parts((*offsets).elems, count) {
                    answer = answer.and_then(|()| check(partition.err));
                }
            }
        }
        Some(answer)
    }
}

/// A question for a topic's id on its way: what a topic is given once, when it is made.
pub(in crate::source::kafka) struct TopicId<H>(Reply<H>);

impl<C: ConsumerContext, H: Deref<Target = BaseConsumer<C>>> TopicId<H> {
    /// Sends the question to one of the brokers; `None` = to the one that speaks for all.
    pub(in crate::source::kafka) fn ask(consumer: H, topic: &str, broker: Option<i32>) -> Self {
        let reply = Reply::new(consumer);
        let topic = CString::new(topic).expect("a subscribed topic's name has no NUL");
        let mut names = [topic.as_ptr()];
        // SAFETY: client and queue are alive; the names are copied into the list, and list and options
        // into the question. An option that is refused without a place for the reason stays unset.
        unsafe {
            let list = rd::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
            let what = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
            let options = rd::rd_kafka_AdminOptions_new(reply.client(), what);
            if let Some(broker) = broker {
                rd::rd_kafka_AdminOptions_set_broker(options, broker, ptr::null_mut(), 0);
            }
            let queue = reply.queue.as_ptr();
            rd::rd_kafka_DescribeTopics(reply.client(), list, options, queue);
            rd::rd_kafka_AdminOptions_destroy(options);
            rd::rd_kafka_TopicCollection_destroy(list);
        }
        Self(reply)
    }

    /// Waits at most `wait` for the answer; `None` = it has not come. Brokers before Kafka 2.8 give
    /// their topics no id.
    pub(in crate::source::kafka) fn poll(
        &self,
        wait: Duration,
    ) -> Option<Result<Option<String>, RDKafkaErrorCode>> {
        let event = self.0.wait(wait)?;
        Some(event.check().and_then(|()| id(&event)))
    }
}

/// The id that the brokers answer with.
fn id(event: &Answer) -> Result<Option<String>, RDKafkaErrorCode> {
    let mut count = 0;
    // SAFETY: the event is alive, and all that is read here lives as long: its topics, of which there
    // are `count`, their errors and ids. An id's text is a C string within it.
    unsafe {
        let result = rd::rd_kafka_event_DescribeTopics_result(event.event());
        let topics = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if count == 0 {
            return Err(RDKafkaErrorCode::UnknownTopic);
        }
        let topic = *topics;
        let error = rd::rd_kafka_TopicDescription_error(topic);
        check(rd::rd_kafka_error_code(error))?;
        let id = rd::rd_kafka_TopicDescription_topic_id(topic);
        let bits = [
            rd::rd_kafka_Uuid_most_significant_bits(id),
            rd::rd_kafka_Uuid_least_significant_bits(id),
        ];
        let text = std::ffi::CStr::from_ptr(rd::rd_kafka_Uuid_base64str(id));
        Ok((bits != [0, 0]).then(|| text.to_string_lossy().into_owned()))
    }
}
