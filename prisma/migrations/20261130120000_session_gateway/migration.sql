-- AlterTable
ALTER TABLE "sessions" ADD COLUMN "gateway" TEXT;

-- CreateIndex
CREATE INDEX "sessions_open" ON "sessions"("gateway") WHERE (ended_at IS NULL);
