-- AlterTable
ALTER TABLE "cards" ADD COLUMN "stray" TEXT;

-- AlterTable
ALTER TABLE "alerts" ADD COLUMN "seen_at" TIMESTAMPTZ(3);
UPDATE "alerts" SET "seen_at" = "at";
ALTER TABLE "alerts" ALTER COLUMN "seen_at" SET NOT NULL;

-- DropIndex
DROP INDEX "alerts_key_at_idx";

-- CreateIndex
CREATE INDEX "alerts_key_seen_at_idx" ON "alerts"("key", "seen_at" DESC);

-- CreateTable
CREATE TABLE "attempts" (
    "id" BIGSERIAL NOT NULL,
    "key" TEXT NOT NULL,
    "line" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "attempts_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "attempts_key_at_idx" ON "attempts"("key", "at" DESC);

-- CreateIndex
CREATE INDEX "attempts_at_idx" ON "attempts"("at");

-- CreateTable
CREATE TABLE "turns" (
    "name" TEXT NOT NULL,
    "holder" TEXT NOT NULL,
    "until" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "turns_pkey" PRIMARY KEY ("name")
);
