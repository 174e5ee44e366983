import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * One claim per key in a state store; every record changes it and gives a status, an approval also a payment
 * instruction. Exactly once, one store backed by a changelog topic, no ledger and no customer notices.
 *
 * <p>Run with a properties file: servers, application, state, threads, status, instructions (topics), and for each
 * topic "schema.TOPIC" (file) and "id.TOPIC" (its schema id).
 */
public final class Claims {
    private static final String STORE = "claims";
    private static final long DEDUCTIBLE_MINOR = 50_000;

    /** Reads and writes the values of one topic: zero byte, schema id, Avro body. */
    private static final class Codec {
        private final int id;
        private final Schema schema;
        private final GenericDatumReader<GenericRecord> reader;
        private final GenericDatumWriter<GenericRecord> writer;
        private BinaryDecoder decoder;
        private BinaryEncoder encoder;

        Codec(Schema schema, int id) {
            this.id = id;
            this.schema = schema;
            this.reader = new GenericDatumReader<>(schema);
            this.writer = new GenericDatumWriter<>(schema);
        }

        GenericRecord read(byte[] value) {
            try {
                decoder = DecoderFactory.get().binaryDecoder(value, 5, value.length - 5, decoder);
                return reader.read(null, decoder);
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }

        byte[] write(GenericRecord record) {
            try {
                ByteArrayOutputStream out = new ByteArrayOutputStream(512);
                out.write(0);
                out.write(ByteBuffer.allocate(4).putInt(id).array());
                encoder = EncoderFactory.get().binaryEncoder(out, encoder);
                writer.write(record, encoder);
                encoder.flush();
                return out.toByteArray();
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }
    }

    /** Takes one record: state from the store, decide, state back, outputs on. */
    private static final class Decider implements Processor<String, byte[], String, byte[]> {
        private final Map<String, Codec> inbound = new HashMap<>();
        private final Codec state;
        private final Codec status;
        private final Codec instruction;
        private ProcessorContext<String, byte[]> context;
        private KeyValueStore<String, byte[]> claims;

        Decider(Properties settings) {
            for (String topic : settings.getProperty("inbound").split(" ")) {
                inbound.put(topic, codec(settings, topic));
            }
            state = codec(settings, "state");
            status = codec(settings, "status");
            instruction = codec(settings, "instructions");
        }

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            this.context = context;
            this.claims = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<String, byte[]> record) {
            String topic = context.recordMetadata().orElseThrow().topic();
            GenericRecord said = inbound.get(topic).read(record.value());
            byte[] kept = claims.get(record.key());
            GenericRecord claim = kept == null ? registered(record.key()) : state.read(kept);
            String event = event(record);
            @SuppressWarnings("unchecked")
            List<CharSequence> seen = (List<CharSequence>) claim.get("seen");
            if (kept != null && seen.stream().anyMatch(other -> event.contentEquals(other))) {
                return;
            }
            seen = new ArrayList<>(seen);
            seen.add(event);
            claim.put("seen", seen);
            claim.put("version", (int) claim.get("version") + 1);
            boolean approved = decide(topic, said, claim);
            claims.put(record.key(), state.write(claim));
            if (approved) {
                byte[] value = instruction.write(instruction(claim, said, event));
                context.forward(record.withValue(value), "instructions");
            }
            context.forward(record.withValue(status.write(status(claim, record.timestamp(), event))), "status");
        }

        /** What one record changes; whether it approves the payment. */
        private boolean decide(String topic, GenericRecord said, GenericRecord claim) {
            switch (topic) {
                case "reporting.loss-notice.v1" -> {
                    GenericRecord payee = (GenericRecord) said.get("payee");
                    claim.put("policy_number", said.get("policy_number"));
                    claim.put("payee_name", payee.get("name"));
                    claim.put("payee_account", payee.get("account"));
                    claim.put("payee_bank_code", payee.get("bank_code"));
                    claim.put("reporter_name", said.get("reporter_name"));
                    claim.put("reporter_phone", said.get("reporter_phone"));
                    claim.put("stage", "investigating");
                }
                case "reporting.document.v1" -> claim.put("document", said.get("document_id"));
                case "investigation.finding.v1" -> claim.put("stage", "assessing");
                case "repair.estimate.v1" -> {
                    long sum = 0;
                    for (Object line : (List<?>) said.get("lines")) {
                        sum += (long) ((GenericRecord) line).get("amount_minor");
                    }
                    claim.put("estimated_minor", sum);
                    claim.put("shop", said.get("shop"));
                }
                case "repair.invoice.v1" -> {
                    long agreed = Math.min((long) claim.get("estimated_minor"), (long) said.get("total_minor"));
                    claim.put("invoice", said.get("number"));
                    claim.put("payable_minor", Math.max(0, agreed - DEDUCTIBLE_MINOR));
                }
                case "adjuster.decision.v1" -> {
                    claim.put("approved_by", said.get("person"));
                    claim.put("stage", "paying");
                    return true;
                }
                case "finance.payment-status.v1" -> {
                    claim.put("paid_minor", said.get("amount_minor"));
                    claim.put("stage", "paid");
                }
                default -> throw new IllegalStateException("no rule for " + topic);
            }
            return false;
        }

        private GenericRecord registered(String number) {
            GenericRecord made = new GenericData.Record(state.schema);
            for (Schema.Field field : state.schema.getFields()) {
                made.put(field.pos(), GenericData.get().getDefaultValue(field));
            }
            made.put("claim", number);
            return made;
        }

        private GenericRecord instruction(GenericRecord claim, GenericRecord said, String event) {
            GenericRecord made = new GenericData.Record(instruction.schema);
            GenericRecord payee = new GenericData.Record(instruction.schema.getField("payee").schema());
            payee.put("name", claim.get("payee_name"));
            payee.put("account", claim.get("payee_account"));
            payee.put("bank_code", claim.get("payee_bank_code"));
            made.put("instruction_id", instructionId(claim.get("claim") + "|1|" + payee.get("account") + "|1"));
            made.put("claim", claim.get("claim"));
            made.put("settlement_version", 1);
            made.put("attempt", 1);
            made.put("payee", payee);
            made.put("amount_minor", claim.get("payable_minor"));
            made.put("currency", "CNY");
            made.put("purpose", "INSC");
            made.put("issued_at_ms", said.get("decided_at_ms"));
            made.put("cause", event);
            made.put("rule", "payments.instruct");
            made.put("reason", "settlement 1 is approved by " + claim.get("approved_by"));
            return made;
        }

        private GenericRecord status(GenericRecord claim, long atMs, String event) {
            GenericRecord made = new GenericData.Record(status.schema);
            made.put("claim", claim.get("claim"));
            made.put("version", claim.get("version"));
            made.put("stage", claim.get("stage"));
            made.put("line", "motor");
            made.put("policy_number", claim.get("policy_number"));
            made.put("open_tasks", List.of());
            made.put("payable_minor", claim.get("payable_minor"));
            made.put("paid_minor", claim.get("paid_minor"));
            made.put("currency", "CNY");
            made.put("at_ms", atMs);
            made.put("cause", event);
            made.put("rule", "claims.status");
            made.put("reason", "claim " + claim.get("claim") + " is " + claim.get("stage"));
            return made;
        }

        private static String event(Record<String, byte[]> record) {
            Header id = record.headers().lastHeader("ce_id");
            return new String(id.value(), StandardCharsets.UTF_8);
        }

        private static String instructionId(String derivedFrom) {
            try {
                byte[] digest = MessageDigest.getInstance("SHA-256").digest(derivedFrom.getBytes(StandardCharsets.UTF_8));
                return "PI" + HexFormat.of().formatHex(digest).substring(0, 30);
            } catch (NoSuchAlgorithmException error) {
                throw new IllegalStateException(error);
            }
        }
    }

    private static Codec codec(Properties settings, String name) {
        try {
            Schema schema = new Schema.Parser().parse(Path.of(settings.getProperty("schema." + name)).toFile());
            return new Codec(schema, Integer.parseInt(settings.getProperty("id." + name, "0")));
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    public static void main(String[] arguments) throws IOException {
        Properties settings = new Properties();
        try (FileInputStream file = new FileInputStream(arguments[0])) {
            settings.load(file);
        }
        Topology topology = new Topology();
        topology.addSource(
                "inbound",
                Serdes.String().deserializer(),
                Serdes.ByteArray().deserializer(),
                settings.getProperty("inbound").split(" "));
        topology.addProcessor("decide", () -> new Decider(settings), "inbound");
        topology.addStateStore(
                Stores.keyValueStoreBuilder(
                                Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.ByteArray())
                        .withCachingEnabled(),
                "decide");
        for (String sink : List.of("status", "instructions")) {
            topology.addSink(
                    sink,
                    settings.getProperty(sink),
                    Serdes.String().serializer(),
                    Serdes.ByteArray().serializer(),
                    "decide");
        }
        Properties options = new Properties();
        options.put(StreamsConfig.APPLICATION_ID_CONFIG, settings.getProperty("application"));
        options.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, settings.getProperty("servers"));
        options.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        options.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, settings.getProperty("threads"));
        options.put(StreamsConfig.STATE_DIR_CONFIG, settings.getProperty("state"));
        KafkaStreams streams = new KafkaStreams(topology, options);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(5))));
        streams.start();
    }
}
